"""The reader of pictures finds what is in them, on the caller's own training pictures."""

import numpy as np
import pytest

from lab.baselines.picture_reader import Told, read_pictures

ROWS = 160
Codes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def _pictures(labels: np.ndarray[tuple[int, ...], np.dtype[np.int8]], at: int) -> Codes:
    random = np.random.default_rng(at)
    grey = random.integers(60, 120, (len(labels), 64, 64)).astype(np.uint8)
    grey[:, 8:24, 8:24] += (30 * (labels[:, :1] > 0)).astype(np.uint8)[:, :, None]
    return np.repeat(grey[..., None], 3, axis=3)


def test_what_is_in_the_pictures_is_read_and_what_is_not_is_chance() -> None:
    random = np.random.default_rng(0)
    labels = random.choice([-1, 1], (2 * ROWS, 1)).astype(np.int8)
    train, val = _pictures(labels[:ROWS], 1), _pictures(labels[ROWS:], 2)
    taught, true = Told(labels[:ROWS], None), Told(labels[ROWS:], None)
    assert read_pictures(train, taught, val, true)["attribute_auc"] > 0.95
    blank = np.full_like(train, 80)
    assert read_pictures(blank, taught, blank, true)["attribute_auc"] == pytest.approx(0.5)
    assert set(read_pictures(train, taught, val, true)) == {"attribute_auc"}


def test_landmarks_are_read_where_there_are_any() -> None:
    random = np.random.default_rng(3)
    shift = random.uniform(0, 1, 2 * ROWS)
    points = random.uniform(20, 100, (68, 2)) + 20 * shift[:, None, None]
    grey = np.broadcast_to((100 + 100 * shift)[:, None, None, None], (2 * ROWS, 64, 64, 3)).astype(np.uint8)
    labels = np.where(shift[:, None] > 0.5, 1, -1).astype(np.int8)
    sets = [Told(labels[part], points[part]) for part in (slice(ROWS), slice(ROWS, None))]
    found = read_pictures(grey[:ROWS], sets[0], grey[ROWS:], sets[1])
    mean = np.broadcast_to(points[:ROWS].mean(axis=0), points[ROWS:].shape)
    trivial = np.linalg.norm(mean - points[ROWS:], axis=-1).mean() / 110
    assert found["landmark_nme"] < trivial / 5
    assert "landmark_nme" not in read_pictures(grey[:ROWS], Told(labels[:ROWS], None), grey[ROWS:], sets[1])
