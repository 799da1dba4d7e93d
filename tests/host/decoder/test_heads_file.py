"""Heads come back from their file and refuse offsets of another generator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from host.decoder.decoder import OwnDecoder
from host.decoder.heads_file import Heads, load_heads, save_heads
from host.decoder.linear_head import LinearHead
from host.decoder.segmentation_head import SegmentationHead, segmented
from host.decoder.weights import weights_of
from lsi.errors import DataError, ShapeMismatchError
from tests.host.decoder.small_generator import SHAPE, small_generator, some_offsets


def small_heads() -> Heads:
    size = SHAPE.layers * SHAPE.latent_width
    weights = np.random.default_rng(0).normal(size=(size, 6)).astype(np.float32)
    zeros = np.zeros(size, np.float32)
    landmarks = LinearHead(zeros, zeros + 1, weights, np.arange(6, dtype=np.float32))
    head = SegmentationHead(sum(SHAPE.widths), 3, SHAPE.size_px)
    space = small_generator().space.form
    return Heads(space, "0" * 64, landmarks, 128, weights_of(head), ("a", "b", "c"), {"command": "none"})


def test_heads_come_back_and_answer_alike(tmp_path: Path) -> None:
    heads, decoder, offsets = small_heads(), OwnDecoder(small_generator()), some_offsets(5)
    save_heads(heads, tmp_path / "h.npz")
    back = load_heads(tmp_path / "h.npz")
    back.check(decoder.space)
    points, there = back.points(offsets), heads.points(offsets)
    assert points is not None
    assert there is not None
    assert points.shape == (5, 3, 2)
    assert np.array_equal(points, there)
    assert np.allclose(points[0, 2], offsets[0].reshape(-1) @ heads.landmarks.weights[:, 4:] + [4, 5])  # type: ignore[union-attr]  # it is there
    pixels = back.pixels(decoder, offsets)
    assert pixels is not None
    assert pixels.shape == (5, 8, 8)
    again = heads.pixels(decoder, offsets)
    assert again is not None
    assert np.array_equal(pixels, again)
    assert (back.classes, back.record) == (heads.classes, heads.record)
    assert "0." not in repr(back)


def test_a_head_that_is_missing_gives_nothing(tmp_path: Path) -> None:
    bare = replace(small_heads(), landmarks=None, segmentation=None)
    save_heads(bare, tmp_path / "h.npz")
    back = load_heads(tmp_path / "h.npz")
    assert back.points(some_offsets(1)) is None
    assert back.pixels(OwnDecoder(small_generator()), some_offsets(1)) is None


def test_offsets_of_another_generator_are_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="belong"):
        small_heads().check(small_generator(seed=1).space)


def test_features_of_another_generator_are_refused() -> None:
    heads = small_heads()
    assert heads.segmentation is not None
    wider = {**heads.segmentation, "norm.weight": np.ones(17, np.float32)}
    with pytest.raises(DataError, match="segmentation head"):
        replace(heads, segmentation=wider).pixels(OwnDecoder(small_generator()), some_offsets(1))


def test_parts_that_do_not_fit_are_no_heads(tmp_path: Path) -> None:
    heads = small_heads()
    with pytest.raises(ValueError, match="do not fit"):
        replace(heads, classes=("a", "b"))
    narrow = LinearHead(*(np.ones(shape, np.float32) for shape in ((3,), (3,), (3, 2), (2,))))
    with pytest.raises(ValueError, match="do not fit"):
        replace(heads, landmarks=narrow)
    for content in (b"", b"nothing", bytes(64)):
        (tmp_path / "h.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"h\.npz"):
            load_heads(tmp_path / "h.npz")
    assert heads.landmarks is not None
    broken = replace(heads.landmarks, bias=np.full(6, np.nan, np.float32))
    save_heads(replace(heads, landmarks=broken), tmp_path / "h.npz")
    with pytest.raises(DataError, match="not finite"):
        load_heads(tmp_path / "h.npz")


def test_the_likeliest_class_wins() -> None:
    head = SegmentationHead(sum(SHAPE.widths), 3, SHAPE.size_px).eval()
    state = head.state_dict()
    state["layers.2.bias"][1] = 100.0
    assert (segmented(head, OwnDecoder(small_generator()), some_offsets(2)) == 1).all()
