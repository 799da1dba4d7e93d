"""Faces that a generator repeats are found, faces like any stranger's are not."""

import numpy as np
import pytest

from lab.latent_intervals import auc_interval, mean_interval
from lab.memorisation import memorisation, sampled_offsets


def _unit(rows: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    drawn = np.random.default_rng(seed).normal(size=(rows, 12))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def test_repeated_faces_are_nearer_than_strangers() -> None:
    train, val = _unit(300, 0), _unit(400, 1)
    found = memorisation({"strangers": _unit(400, 2), "copies": train[:50]}, val, train)
    assert found["copies to train"] == pytest.approx(1)
    assert found["copies nearer than 99 % of val"] == 1
    assert found["strangers nearer than 99 % of val"] < 0.04
    assert found["strangers to train"] == pytest.approx(found["val to train"], abs=0.03)


def test_samples_have_mean_and_covariance_of_what_was_taught() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(6, 6))
    taught = (generator.normal(size=(3000, 6)) @ mixing + 5).reshape(-1, 2, 3).astype(np.float32)
    drawn = sampled_offsets(taught, 4000)
    assert drawn.shape == (4000, 2, 3)
    assert drawn.mean(axis=0) == pytest.approx(taught.mean(axis=0), abs=0.2)
    there, here = (np.cov(each.reshape(len(each), -1), rowvar=False) for each in (taught, drawn))
    assert np.abs(there - here).max() < 0.15 * np.abs(there).max()
    assert not np.isclose(drawn[:, None], taught[None, :200]).all(axis=(2, 3)).any()


def test_an_interval_is_over_people_not_over_pictures() -> None:
    people = np.arange(40)
    values = np.random.default_rng(0).normal(size=40)
    once = mean_interval(values, people)
    often = mean_interval(values.repeat(10), people.repeat(10))
    assert once == pytest.approx(often, abs=0.02)  # ten pictures of a person say no more than one
    assert once[0] < values.mean() < once[1]


def test_the_interval_of_an_auc_holds_it_and_leaves_the_unknown_out() -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(np.array([-1, 1], np.int8), size=(200, 2))
    logits = np.column_stack((labels + generator.normal(size=(200, 2)), np.zeros(200))).astype(np.float32)
    low, high = auc_interval(logits, labels, np.arange(200))
    assert 0.8 < low < high < 0.99
    hidden = labels.copy()
    hidden[:100, 1] = 0
    logits[:100, 1] = -100 * labels[:100, 1]
    assert auc_interval(logits, hidden, np.arange(200))[0] > 0.75
