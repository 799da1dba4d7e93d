"""A teacher's answers as a file."""

from pathlib import Path

import numpy as np
import pytest

from lsi.errors import ConfigError, DataError
from training.attributes.soft_labels import SoftLabels, digest_of_faces, load_soft_labels, save_soft_labels
from training.data_sets.data import FaceData

NAMES = ("Smiling", "Wearing_Hat", "Young")


def _faces(names: tuple[str, ...] = NAMES, seed: int = 0) -> FaceData:
    generator = np.random.default_rng(seed)
    luminance = generator.random((5, 64, 64), np.float32)
    attributes = np.ones((5, len(names)), np.int8)
    return FaceData(luminance, attributes, names, np.arange(5))


def _labels() -> SoftLabels:
    soft = np.linspace(0, 1, 15, dtype=np.float32).reshape(5, 3)
    val = np.arange(6, dtype=np.float32).reshape(2, 3)
    return SoftLabels(NAMES, soft, digest_of_faces(_faces()), val, {"figures": {}})


def test_a_file_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    save_soft_labels(_labels(), tmp_path / "teacher.npz")
    loaded = load_soft_labels(tmp_path / "teacher.npz")
    assert loaded.names == NAMES
    assert np.allclose(loaded.train_soft, _labels().train_soft, atol=1e-3)
    assert np.array_equal(loaded.val_logits, _labels().val_logits)
    assert loaded.record == {"figures": {}}


def test_columns_follow_the_attributes_that_are_asked_for() -> None:
    chosen = _labels().of(_faces(("Young", "Smiling")))
    assert np.array_equal(chosen, _labels().train_soft[:, [2, 0]])


def test_other_faces_are_refused() -> None:
    with pytest.raises(ConfigError, match="other training faces"):
        _labels().of(_faces(seed=1))


def test_the_order_of_rows_counts() -> None:
    faces = _faces()
    turned = FaceData(faces.luminance, faces.attributes, faces.names, faces.identity[::-1])
    assert digest_of_faces(turned) != digest_of_faces(faces)


def test_an_attribute_that_the_teacher_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError, match="Goatee"):
        _labels().of(_faces(("Smiling", "Goatee")))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        load_soft_labels(tmp_path / "absent.npz")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04" + bytes(30)])
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match="teacher"):
        load_soft_labels(tmp_path / "x.npz")


def test_another_format_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", meta=np.array('{"format": "lsi.checkpoint/1"}'))
    with pytest.raises(DataError, match=r"lsi\.checkpoint/1"):
        load_soft_labels(tmp_path / "x.npz")


def test_its_text_says_no_value() -> None:
    assert repr(_labels()) == "SoftLabels(rows=5, attributes=3)"
