"""``lsi export``, and the whole way from pictures to a bundle."""

import argparse
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export import export_command
from export.parity import run_model
from lsi.bundle import open_bundle, read_bundle
from lsi.errors import BundleError, ConfigError, DataError
from tests.training.conftest import Files, files  # noqa: F401 - the fixture of generated data
from tests.training.tiny import measurements_for, tiny_checkpoint
from training.attributes.checkpoint import save_checkpoint
from training.cli_commands import attributes_command


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    export_command.add_arguments(parser)
    return export_command.run(parser.parse_args(words))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.npz"
    save_checkpoint(tiny_checkpoint(), path)
    return path


def test_it_writes_a_bundle_that_the_device_reads(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tiny.lsib"
    assert _run(str(checkpoint), "-o", str(output), "--created", "2026-03-04") == 0
    bundle = read_bundle(output)
    assert (bundle.manifest.name, bundle.manifest.created) == ("attr-lite-6", "2026-03-04")
    shown = capsys.readouterr().out
    assert "error of a logit" in shown
    assert "not compared: --labelled" in shown
    report = json.loads(open_bundle(output).members["parity.json"])
    assert report["parity"]["rows"] == 4112
    assert report["model"]["size_bytes"] == len(bundle.model)
    assert "auc" not in report
    assert bundle.manifest.short_id in shown


def test_running_it_twice_gives_the_same_file(checkpoint: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "a.lsib", tmp_path / "b.lsib"]
    for output in outputs:
        _run(str(checkpoint), "-o", str(output), "--created", "2026-03-04")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_default_date_is_today(checkpoint: Path, tmp_path: Path) -> None:
    before = dt.datetime.now(tz=dt.UTC).date()
    _run(str(checkpoint), "-o", str(tmp_path / "tiny.lsib"))
    created = dt.date.fromisoformat(read_bundle(tmp_path / "tiny.lsib").manifest.created)
    assert before <= created <= dt.datetime.now(tz=dt.UTC).date()


def test_an_existing_bundle_needs_force(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "tiny.lsib"
    output.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="exists"):
        _run(str(checkpoint), "-o", str(output))
    assert output.read_bytes() == b"precious"
    assert _run(str(checkpoint), "-o", str(output), "--force") == 0
    assert read_bundle(output).manifest.d == 6


@pytest.mark.parametrize("created", ["yesterday", "2026-13-01"])
def test_what_is_no_date_is_refused(checkpoint: Path, tmp_path: Path, created: str) -> None:
    with pytest.raises(ConfigError, match=created):
        _run(str(checkpoint), "-o", str(tmp_path / "tiny.lsib"), "--created", created)


def test_a_bad_version_writes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="version"):
        _run(str(checkpoint), "-o", str(tmp_path / "tiny.lsib"), "--version", "one")
    assert not (tmp_path / "tiny.lsib").exists()


def test_a_missing_checkpoint_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        _run(str(tmp_path / "absent.npz"), "-o", str(tmp_path / "tiny.lsib"))


def test_labelled_measurements_give_the_auc_before_and_after(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read_out = tiny_checkpoint().read_out
    measurements = measurements_for(read_out, 60)
    logits = read_out.logits(measurements)[:, :2]
    labels = np.where(logits > np.median(logits, axis=0), 1, -1)
    np.savez(tmp_path / "labelled.npz", measurements=measurements, labels=labels)
    labelled = str(tmp_path / "labelled.npz")
    _run(str(checkpoint), "-o", str(tmp_path / "tiny.lsib"), "--float", "--labelled", labelled)
    assert "1.0000 in float, 1.0000 exported" in capsys.readouterr().out
    report = json.loads(open_bundle(tmp_path / "tiny.lsib").members["parity.json"])
    assert report["auc"] == {"auc_float": 1.0, "auc_exported": 1.0}


def test_help_ends_with_an_example() -> None:
    parser = argparse.ArgumentParser()
    export_command.add_arguments(parser)
    assert parser.format_help().rstrip().endswith("--created 2026-11-22")


def test_export_never_loads_pytorch_or_pillow(checkpoint: Path, tmp_path: Path) -> None:
    program = (
        "import argparse, sys; from export import export_command as c; p = argparse.ArgumentParser(); "
        "c.add_arguments(p); c.run(p.parse_args(sys.argv[1:])); "
        "raise SystemExit(bool({'torch', 'PIL'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", program, str(checkpoint), "-o", str(tmp_path / "tiny.lsib")]
    finished = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert finished.returncode == 0, finished.stderr.decode()


def test_pictures_become_a_bundle_that_runs(files: Files, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    trained, output = tmp_path / "trained.npz", tmp_path / "trained.lsib"
    parser = argparse.ArgumentParser()
    attributes_command.add_arguments(parser)
    words = files.arguments(trained, "--epochs", "2", "--threads", "1")
    assert attributes_command.run(parser.parse_args(words)) == 0
    assert _run(str(trained), "-o", str(output)) == 0
    bundle = read_bundle(output)
    assert bundle.attributes.names == attributes_command.ATTRIBUTES
    error = np.abs(run_model(bundle.model, bundle.golden.inputs) - bundle.golden.logits)
    assert error.max() <= bundle.golden.tolerance
    assert "| Smiling |" in bundle.card
