"""Checkpoints as the report runs them, and teacher files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="the report needs PyTorch (lsi-host[train])")

from lab import report_models
from lab.report_models import load_models, read_teacher
from lsi.attributes import AttributeSchema
from lsi.errors import ConfigError, DataError
from tests.lab.report_scene import bench, model, record, save_teacher
from tests.training.tiny import tiny_checkpoint
from training.attributes.checkpoint import Checkpoint, save_checkpoint


def renamed(checkpoint: Checkpoint, names: tuple[str, ...]) -> Checkpoint:
    schema = AttributeSchema(names, checkpoint.attributes.thresholds, 0.0)
    fields = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    return Checkpoint(**{**fields, "attributes": schema})


def test_noise_free_logits_are_those_of_the_exact_ratio_of_arms() -> None:
    tiny, fields = model(), bench(rows=20).report
    signed = np.where(tiny.checkpoint.patterns.masks, 1.0, -1.0)
    ratio = np.tensordot(fields, signed, ((1, 2), (1, 2))) / fields.sum(axis=(1, 2))[:, None]
    expected = tiny.checkpoint.read_out.logits(ratio.astype(np.float32))
    assert tiny.logits(fields, None) == pytest.approx(expected, abs=1e-3)


def test_every_call_sees_the_same_noise() -> None:
    tiny, fields = model(), bench(rows=5).report
    assert np.array_equal(tiny.logits(fields, 20.0), tiny.logits(fields, 20.0))
    assert not np.array_equal(tiny.logits(fields, 20.0), tiny.logits(fields, None))


def test_rows_of_different_blocks_see_different_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_models, "ROWS_AT_ONCE", 2)
    same = np.repeat(bench(rows=1).report, 4, axis=0)
    found = model().logits(same, 20.0)
    assert len(np.unique(found[:, 0])) == 4


def test_models_come_by_d_and_seed_with_the_sensor_of_their_record(tmp_path: Path) -> None:
    for seed in (2, 1):
        save_checkpoint(tiny_checkpoint(record(seed)), tmp_path / f"seed{seed}.npz")
    found = load_models([tmp_path / "seed2.npz", tmp_path / "seed1.npz"])
    assert [(each.name, each.seed, each.d) for each in found] == [("seed1", 1, 6), ("seed2", 2, 6)]
    assert (found[0].power, found[0].samples) == (100.0, 8)


def test_checkpoints_of_different_attributes_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(record()), tmp_path / "a.npz")
    save_checkpoint(renamed(tiny_checkpoint(record()), ("Smiling", "Young")), tmp_path / "b.npz")
    with pytest.raises(ConfigError, match=r"b and a answer different attributes.*one report per set"):
        load_models([tmp_path / "a.npz", tmp_path / "b.npz"])


@pytest.mark.parametrize("lacking", ["sensor", "samples", "settings"])
def test_a_record_without_its_sensor_is_refused(tmp_path: Path, lacking: str) -> None:
    kept = {key: value for key, value in record().items() if key != lacking}
    save_checkpoint(tiny_checkpoint(kept), tmp_path / "a.npz")
    with pytest.raises(DataError, match="for which sensor"):
        load_models([tmp_path / "a.npz"])


def test_what_differs_from_a_plain_run_parts_systems_of_one_d(tmp_path: Path) -> None:
    plain, nested, ideal = record(), record(), record()
    nested["settings"] |= {"nested": True, "power_bounds_nw": None}
    ideal |= {"photons": 1e4, "settings": {"seed": 3, "disturbance": None}}
    for name, each in {"a": ideal, "b": nested, "c": plain}.items():
        save_checkpoint(tiny_checkpoint(each), tmp_path / f"{name}.npz")
    found = load_models([tmp_path / f"{name}.npz" for name in "abc"])
    assert [(each.trained, each.light) for each in found] == [
        ("", "100 nW, 12 bit"),
        ("one nested bank, trained without noise", "100 nW, 12 bit"),
        ("trained for 10000 photons, trained on a still rig", "10000 photons, ideal"),
    ]
    assert (found[2].power, found[2].samples, found[2].seed) == (1e4, 8, 3)


def scores(rows: int, columns: int) -> NDArray[np.float32]:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def test_the_teachers_columns_are_taken_by_name(tmp_path: Path) -> None:
    path = save_teacher(tmp_path / "t.npz", scores(3, 3), ("Young", "Smiling", "Male"))
    assert read_teacher(path, 3, ("Male", "Young")).tolist() == [[2, 0], [5, 3], [8, 6]]


def test_a_teacher_of_other_rows_or_without_an_attribute_is_refused(tmp_path: Path) -> None:
    path = save_teacher(tmp_path / "t.npz", scores(3, 1), ("Young",))
    with pytest.raises(DataError, match="scores of 3 rows, not 4"):
        read_teacher(path, 4, ("Young",))
    with pytest.raises(DataError, match="lacks Male"):
        read_teacher(path, 3, ("Male",))
