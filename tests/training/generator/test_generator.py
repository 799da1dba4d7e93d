"""The style autoencoder on digits: it learns, resumes exactly, and stops at a loss that is no number."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from host.decoder.decoder import OwnDecoder
from host.decoder.generator_file import GeneratorFile, load_generator
from host.decoder.synthesis import SynthesisShape
from lsi.errors import ConfigError, DataError, TrainingError
from tests.digits_domain import DigitsDomain
from training.attributes.teacher import Teacher
from training.course import run_course
from training.generator.feature_network import FeatureNetwork, load_feature_network, save_feature_network
from training.generator.generator import (
    GeneratorCourse,
    GeneratorLesson,
    StyleAutoencoder,
    encoder_of,
    latents_of,
)
from training.generator.generator_settings import GeneratorSettings, preset_widths
from training.generator.picture_losses import PICTURE_LOSSES

SETTINGS = GeneratorSettings("digits", SynthesisShape(8, 16, (16, 16)), batch=32, mirrored=False)


@pytest.fixture
def lesson(digits: DigitsDomain) -> GeneratorLesson:
    return digits.lesson


@pytest.fixture
def trained(digits: DigitsDomain) -> GeneratorFile:
    return load_generator(digits.generator)


def _psnr_db(made: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    return 10 * math.log10(255**2 / float(np.square(made.astype(float) - wanted).mean()))


def test_pictures_come_back_better_than_the_mean_picture(
    lesson: GeneratorLesson, trained: GeneratorFile
) -> None:
    latents = latents_of(encoder_of(trained, "test"), lesson.pictures)
    decoded = OwnDecoder(trained).pictures(latents - trained.space.mean)
    mean = np.broadcast_to(lesson.pictures.mean(axis=0), lesson.pictures.shape)
    assert _psnr_db(decoded, lesson.pictures) > _psnr_db(mean, lesson.pictures) + 4


def test_the_mean_latent_is_that_of_the_pictures(lesson: GeneratorLesson, trained: GeneratorFile) -> None:
    latents = latents_of(encoder_of(trained, "test"), lesson.pictures)
    assert np.allclose(latents.mean(axis=0), trained.space.mean, atol=0.02)


def test_an_interrupted_run_ends_where_the_whole_one_ends(lesson: GeneratorLesson) -> None:
    few = replace(lesson, pictures=lesson.pictures[:64], labels=lesson.labels[:64])
    whole = GeneratorCourse(few, SETTINGS, epochs=4)
    whole.run_leg(8)
    first = GeneratorCourse(few, SETTINGS, epochs=4)
    first.run_leg(3)
    second = GeneratorCourse(few, SETTINGS, epochs=4)
    second.restore(first.state())
    second.run_leg(8)
    assert second.step == whole.step == 8
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, second.averaged.state_dict()[name]), name


def test_a_loss_that_is_no_number_stops_the_run_and_is_not_saved(lesson: GeneratorLesson) -> None:
    course = GeneratorCourse(lesson, SETTINGS, epochs=40)
    saved: list[dict[str, Any]] = []

    def save(state: dict[str, Any]) -> None:
        saved.append(state)
        with torch.no_grad():
            course.network.synthesis.start.fill_(torch.nan)

    with pytest.raises(TrainingError, match="rate below"):
        run_course(course, lambda _line: None, save)
    assert len(saved) == 1
    assert all(bool(torch.isfinite(value).all()) for value in saved[0]["averaged"].values())


def test_progress_says_how_long_it_takes(lesson: GeneratorLesson) -> None:
    few = replace(lesson, pictures=lesson.pictures[:64], labels=lesson.labels[:64])
    lines: list[str] = []
    ticks = iter(range(0, 1000, 10))
    run_course(
        GeneratorCourse(few, SETTINGS, epochs=5), lines.append, lambda _state: None, lambda: next(ticks)
    )
    assert lines[0].startswith("step 5/10: pixel ")
    assert "(16 a second, 0 min left)" in lines[0]


def test_too_large_a_generator_is_refused() -> None:
    shape = SynthesisShape(64, 512, (512, 512, 256, 128, 64))
    with pytest.raises(ConfigError, match="parameters"):
        StyleAutoencoder(GeneratorSettings("large", shape), 0)


@pytest.mark.parametrize(("preset", "size_px"), [("small", 64), ("full", 64), ("full", 128), ("small", 8)])
def test_presets_fit_the_limit(preset: str, size_px: int) -> None:
    shape = SynthesisShape(size_px, 128, preset_widths(preset, size_px))
    with torch.device("meta"):
        network = StyleAutoencoder(GeneratorSettings("any", shape), 40)
    assert network.parameter_count < 7_000_000


def test_a_latent_does_not_depend_on_its_company(lesson: GeneratorLesson, trained: GeneratorFile) -> None:
    encoder = encoder_of(trained, "test")
    together = latents_of(encoder, lesson.pictures[:8])
    assert np.allclose(together[3:4], latents_of(encoder, lesson.pictures[3:4]), atol=1e-4)
    mirrored = latents_of(encoder, lesson.pictures[:2], is_mirrored=True)
    assert np.allclose(mirrored, latents_of(encoder, lesson.pictures[:2, :, ::-1].copy()), atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"losses": (("pixels", 1.0),)},
        {"losses": (("pixel", 1.0), ("pixel", 2.0))},
        {"losses": (("pixel", float("nan")),)},
        {"rate": float("inf")},
        {"batch": 0},
        {"latent_noise": -1.0},
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SETTINGS, **change)


@pytest.mark.parametrize("name", sorted(PICTURE_LOSSES))
def test_a_picture_loss_is_zero_for_equals_only_and_reaches_the_picture(name: str) -> None:
    wanted = torch.rand(2, 3, 8, 8)
    made = wanted.flip(-1).requires_grad_()
    loss = PICTURE_LOSSES[name](made, wanted)
    assert float(PICTURE_LOSSES[name](wanted, wanted)) == 0 < float(loss.detach())
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    assert made.grad is not None
    assert bool(made.grad.abs().sum() > 0)


def test_a_feature_network_is_kept_and_never_trains(tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = Teacher(2, 0.3).eval()
    save_feature_network(teacher, ("A", "B"), tmp_path / "f.npz")
    loaded = load_feature_network(tmp_path / "f.npz").train()
    pictures = torch.rand(2, 3, 32, 32)
    kept = FeatureNetwork(teacher)(pictures)
    assert all(torch.equal(a, b) for a, b in zip(loaded(pictures), kept, strict=True))
    assert [tuple(each.shape[1:]) for each in kept] == [(24, 16, 16), (40, 8, 8), (80, 4, 4), (160, 2, 2)]
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert float(loaded.distance(pictures, pictures)) == 0
    assert float(loaded.distance(pictures, pictures.flip(-1))) > 0.01


@pytest.mark.parametrize("content", [b"", b"nothing", bytes(64)])
def test_a_file_that_is_no_feature_network_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"f\.npz"):
        load_feature_network(tmp_path / "f.npz")
    np.savez(tmp_path / "g.npz", meta=np.array('{"format": "lsi.features/2", "names": []}'))
    with pytest.raises(DataError, match=r"g\.npz"):
        load_feature_network(tmp_path / "g.npz")
