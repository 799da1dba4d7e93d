"""Short runs on generated fields: what each kind of optics can see, and what it cannot."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

import torch

from training.attributes.baselines import (
    BaselineSettings,
    Floats,
    LearnedOptics,
    Optics,
    train_fixed,
    train_learned,
)
from training.read_outs.model import ReadOut
from training.scores.figures import auc

SETTINGS = BaselineSettings(epochs=8, batch=64, width=16, rate=1e-2)


def half_lit(rows: int, seed: int) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.int8]]]:
    """Fields of any brightness; the answer is which half is brighter."""
    generator = np.random.default_rng(seed)
    answers = np.where(generator.random((rows, 1)) < 0.5, 1, -1)
    half = np.where(np.arange(8) < 4, 1.0, -1.0)
    fields = 1 + 0.2 * answers[:, :, None] * half + 0.2 * generator.normal(size=(rows, 8, 8))
    fields *= generator.uniform(0.05, 1, (rows, 1, 1))
    return fields.clip(0).astype(np.float32), answers.astype(np.int8)


def learned(optics: Optics, d: int = 2) -> float:
    fields, answers = half_lit(800, 1)
    trained = train_learned(LearnedOptics(optics, d, 8, 0), fields, answers, SETTINGS)
    tried, expected = half_lit(400, 2)
    return auc(trained.logits(tried)[:, 0], expected[:, 0] > 0)


def test_two_arms_cancel_the_brightness_that_one_arm_of_one_mask_cannot() -> None:
    assert learned(Optics.TWO_ARMS, 1) > 0.95
    assert learned(Optics.ONE_ARM, 1) < 0.85


def test_grey_masks_with_a_detector_each_learn_too() -> None:
    assert learned(Optics.FREEFORM, 4) > 0.8


def test_masks_are_binary_but_for_the_freeform_ones() -> None:
    for optics in Optics:
        masks = LearnedOptics(optics, 3, 8, 0).masks()
        values = set(masks.detach().flatten().tolist())
        assert (values == {0.0, 1.0}) == (optics is not Optics.FREEFORM)


def test_two_arms_give_the_ratio_and_one_arm_the_sum() -> None:
    fields = torch.rand(3, 8, 8)
    two, one = (LearnedOptics(optics, 2, 8, 0) for optics in (Optics.TWO_ARMS, Optics.ONE_ARM))
    plus = torch.einsum("bhw,dhw->bd", fields, one.masks())
    everything = fields.sum(dim=(1, 2))[:, None]
    assert torch.allclose(one(fields), plus / 64, atol=1e-5)
    assert torch.allclose(two(fields), (2 * plus - everything) / everything, atol=1e-5)


def test_the_masks_follow_the_gradient() -> None:
    fields, answers = half_lit(200, 1)
    layer = LearnedOptics(Optics.TWO_ARMS, 2, 8, 0)
    before = layer.logits.detach().clone()
    train_learned(layer, fields, answers, SETTINGS)
    assert not torch.equal(before, layer.logits)


def test_the_same_seed_gives_the_same_logits_and_another_one_others() -> None:
    fields, answers = half_lit(300, 1)
    flat = fields.reshape(300, -1)[:, :5].copy()
    runs = [
        train_fixed(flat, answers, BaselineSettings(seed=seed, epochs=2, batch=64, width=8)).logits(flat)
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_the_random_state_of_the_caller_is_left_alone() -> None:
    fields, answers = half_lit(100, 1)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train_fixed(fields.reshape(100, -1), answers, BaselineSettings(epochs=1, batch=64, width=8))
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_answer_is_neither_yes_nor_no() -> None:
    fields, answers = half_lit(300, 1)
    flat, settings = fields.reshape(300, -1), BaselineSettings(epochs=2, batch=64, width=8)
    runs = []
    for instead in (0, 1, -1):
        given = np.concatenate((answers, answers), axis=1)
        given[:150, 1] = instead
        runs.append(train_fixed(flat, given, settings).logits(flat))
    assert not np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_an_attribute_that_nobody_knows_teaches_nothing() -> None:
    fields, answers = half_lit(300, 1)
    flat, settings = fields.reshape(300, -1), BaselineSettings(epochs=2, batch=64, width=8)
    alone = train_fixed(flat, np.concatenate((answers, 0 * answers), axis=1), settings)
    last = [each for each in alone.read_out.layers if isinstance(each, torch.nn.Linear)][-1]
    assert last.bias[1].item() == pytest.approx(_start_bias(flat.shape[1], settings)[1], rel=1e-3)


def _start_bias(d: int, settings: BaselineSettings) -> list[float]:
    """The bias before the first step; weight decay takes next to nothing of it."""
    torch.manual_seed(settings.seed)
    read_out = ReadOut(d, 2, settings.width)
    found: list[float] = [each for each in read_out.layers if isinstance(each, torch.nn.Linear)][
        -1
    ].bias.tolist()
    return found


def test_the_stored_statistics_are_those_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (500, 4)).astype(np.float32)
    trained = train_fixed(rows, np.ones((500, 1), np.int8), BaselineSettings(epochs=1, batch=64, width=8))
    statistics = trained.read_out.standardise
    assert statistics.running_mean is not None
    assert statistics.running_mean.numpy() == pytest.approx(rows.mean(axis=0), rel=1e-4)
    assert statistics.running_var is not None
    assert statistics.running_var.numpy() == pytest.approx(rows.var(axis=0, ddof=1), rel=1e-4)
