"""Checkpoints on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from lsi.errors import DataError
from tests.training.tiny import D, tiny_checkpoint
from training.attributes.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "tiny.npz"
    save_checkpoint(tiny_checkpoint({"seed": 3}), path)
    return path


def test_a_checkpoint_survives_the_round_trip(saved: Path) -> None:
    before, after = tiny_checkpoint({"seed": 3}), load_checkpoint(saved)
    assert after.patterns == before.patterns
    assert after.attributes == before.attributes
    assert after.record == {"seed": 3}
    inputs = np.random.default_rng(0).normal(size=(5, D)).astype(np.float32)
    assert np.array_equal(after.read_out.logits(inputs), before.read_out.logits(inputs))
    for name in ("measurement_low", "measurement_high", "activation_low", "activation_high"):
        assert np.array_equal(getattr(after, name), getattr(before, name))


def test_bands_in_which_to_abstain_survive_the_round_trip(tmp_path: Path) -> None:
    tiny = tiny_checkpoint()
    bands = ((0.0, 0.5), (-2.0, -1.0))
    schema = replace(tiny.attributes, abstain=bands)
    save_checkpoint(replace(tiny, attributes=schema), tmp_path / "x.npz")
    assert load_checkpoint(tmp_path / "x.npz").attributes.abstain == bands


def test_a_checkpoint_needs_no_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
        assert json.loads(str(archive["meta"]))["format"] == "lsi.checkpoint/1"


def test_saving_leaves_nothing_else_behind(saved: Path) -> None:
    save_checkpoint(tiny_checkpoint(), saved)
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.npz"]


def test_a_failed_save_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(file: BinaryIO, **_: object) -> None:
        file.write(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tiny_checkpoint(), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.npz"]


def test_a_missing_checkpoint_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        load_checkpoint(tmp_path / "absent.npz")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.99])
def test_a_cut_off_checkpoint_is_a_data_error(saved: Path, part: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError):
        load_checkpoint(saved)


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_of_the_zip_directory_never_escapes_as_another_error(saved: Path, bit: int) -> None:
    whole = saved.read_bytes()
    refused = 0
    for position in range(whole.index(b"PK\x01\x02"), len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        saved.write_bytes(damaged)
        try:
            load_checkpoint(saved)
        except DataError:
            refused += 1
    # Flips in dates and attributes of the archive change nothing that is read.
    assert refused > 20


@pytest.mark.parametrize("field", ["meta", "masks", "mean", "weights_1", "measurement_low"])
def test_a_checkpoint_without_one_of_its_fields_is_a_data_error(saved: Path, field: str) -> None:
    with np.load(saved) as archive:
        fields = {name: archive[name] for name in archive.files if name != field}
    np.savez(saved, **fields)
    with pytest.raises(DataError):
        load_checkpoint(saved)


def test_another_format_is_refused(saved: Path) -> None:
    with np.load(saved) as archive:
        fields = {name: archive[name] for name in archive.files}
    fields["meta"] = np.array(str(fields["meta"]).replace("checkpoint/1", "checkpoint/2"))
    np.savez(saved, **fields)
    with pytest.raises(DataError, match="checkpoint/2"):
        load_checkpoint(saved)


def test_ranges_of_another_length_are_refused() -> None:
    good = tiny_checkpoint()
    with pytest.raises(ValueError, match="activation_low"):
        Checkpoint(
            good.patterns,
            good.read_out,
            good.attributes,
            good.measurement_low,
            good.measurement_high,
            good.activation_low[:-1],
            good.activation_high,
            {},
        )


def test_a_checkpoint_shows_no_values() -> None:
    assert repr(tiny_checkpoint()) == "Checkpoint(d=6, attributes=2)"
