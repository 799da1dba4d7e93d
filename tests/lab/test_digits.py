"""The second domain as data files of the common layout."""

from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from lab.digits import digit_picture, write_digits
from training.data_sets.data import check_two_classes, open_data


def test_the_files_are_read_like_any_other_and_parts_share_no_row(tmp_path: Path) -> None:
    files = write_digits(tmp_path, 60, 30)
    train, val = open_data(files["train"]), open_data(files["val"])
    assert (len(train), len(val)) == (60, 30)
    assert not set(train.identity.tolist()) & set(val.identity.tolist())
    faces = train.faces(train.attribute_names)
    check_two_classes(faces)
    assert (faces.attributes > 0).sum(axis=1).tolist() == [1] * 60
    assert faces.luminance.min() > 0.005  # a black field would be refused as too dark
    assert open_data(files["nonfaces"]).faces().luminance.shape[1:] == (64, 64)


def test_a_digit_is_bright_where_it_was_written() -> None:
    values = np.zeros((8, 8))
    values[:, 2] = 16
    picture = digit_picture(values)
    assert picture.shape == (64, 64, 3)
    assert picture[32, 20].min() > 200
    assert picture[32, 50].max() < 60


def test_the_command_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.digits_command.TRAIN_ROWS", 20)
    assert main(["lab", "digits", "-o", str(tmp_path / "d")]) == 0
    assert "digits_train.npz" in capsys.readouterr().out
    assert len(list((tmp_path / "d").iterdir())) == 4
