import numpy as np
import pytest
from numpy.typing import NDArray

from lab.audit.reconstruction import (
    Examples,
    Pictures,
    best_linear,
    decoder,
    estimators_for,
    likeness,
    mean_picture,
    nearest_picture,
    psnr_db,
    shown,
)

GENERATOR = np.random.default_rng(0)
BASIS = GENERATOR.normal(size=(3, 16, 16))


def linear_pictures(messages: NDArray[np.float64]) -> Pictures:
    """Pictures that lie in a plane."""
    found: Pictures = (0.5 + 0.03 * np.einsum("nf,fhw->nhw", messages, BASIS)).astype(np.float32)
    return found


def examples(rows: int = 400) -> Examples:
    messages = np.random.default_rng(1).normal(size=(rows, 3))
    return Examples(messages, linear_pictures(messages))


def test_what_is_linear_is_rebuilt_from_its_numbers_and_better_than_by_trivial_guesses() -> None:
    messages = np.random.default_rng(2).normal(size=(50, 3))
    true = linear_pictures(messages)
    quality = {
        name: psnr_db(learned(examples())(messages), true).mean()
        for name, learned in (("linear", best_linear), ("mean", mean_picture), ("nearest", nearest_picture))
    }
    assert quality["linear"] > 60
    assert quality["mean"] == pytest.approx(-10 * np.log10(0.03**2 * 3), abs=2.5)
    assert quality["mean"] < quality["nearest"] < quality["linear"]


def test_noise_in_the_examples_pulls_the_guess_to_the_mean() -> None:
    clean = examples(4000)
    noisy = Examples(
        clean.messages + np.random.default_rng(3).normal(size=clean.messages.shape), clean.pictures
    )
    message = np.array([[2.0, 0.0, 0.0]])
    # Of a number that is half noise, half is believed.
    assert best_linear(noisy)(message)[0] == pytest.approx(linear_pictures(message / 2)[0], abs=0.03)


def test_a_decoder_sees_what_no_linear_guess_can() -> None:
    messages = np.random.default_rng(4).normal(size=(500, 2))
    pictures = (0.4 + 0.1 * np.abs(messages[:, :1, None]) * np.ones((1, 8, 8))).astype(np.float32)
    known = Examples(messages, pictures)
    linear, learned = best_linear(known)(messages), decoder(known)(messages)
    assert psnr_db(learned, pictures).mean() > psnr_db(linear, pictures).mean() + 3


def test_few_messages_are_answered_with_the_mean_of_those_who_sent_the_same() -> None:
    messages = np.repeat([[1.0], [-1.0]], 40, axis=0)
    pictures = np.repeat([0.9, 0.1], 40)[:, None, None] * np.ones((1, 4, 4), np.float32)
    known = Examples(messages, pictures.astype(np.float32))
    assert list(estimators_for(known)) == ["mean of like messages"]
    guess = best_linear(known)(np.array([[1.0], [-1.0], [0.0]]))
    assert guess[:, 0, 0] == pytest.approx([0.89, 0.11, 0.5], abs=0.01)
    assert list(estimators_for(examples())) == ["linear MMSE", "decoder"]


def test_guesses_are_pictures() -> None:
    far = np.array([[40.0, -40.0, 40.0]])
    for learned in (best_linear, decoder):
        guess = learned(examples())(far)
        assert guess.dtype == np.float32
        assert guess.min() >= 0
        assert guess.max() <= 1


def test_figures_are_those_of_the_books() -> None:
    true = np.random.default_rng(5).random((2, 16, 16)).astype(np.float32)
    assert psnr_db(np.clip(true, 0, 1) * 0 + 0.5, np.full_like(true, 0.6)) == pytest.approx(
        [20, 20], abs=1e-4
    )
    assert likeness(true, true)["ssim"] == pytest.approx(1)
    assert likeness(1 - true, true)["ssim"] < 0


def test_light_is_coded_as_a_screen_codes_it() -> None:
    light = np.array([[0.0, 0.0031308, 0.2140411, 1.0, 2.0]], np.float32)
    assert shown(light)[0] == pytest.approx([0, 0.04045, 0.5, 1, 1], abs=1e-4)
