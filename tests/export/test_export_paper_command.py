"""``lsi export`` for the paper's weights."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import export_command
from lsi.errors import ConfigError, DataError
from tests.training.paper_tiny import patterned_weights
from training.paper.paper_weights import save_paper_weights


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    export_command.add_arguments(parser)
    return export_command.run(parser.parse_args(words))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper") / "paper.npz"
    save_paper_weights(patterned_weights(), path)
    return path


def test_the_papers_weights_become_a_tflite_file_that_gives_the_offset(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "paper.tflite"
    assert _run(str(weights), "-o", str(output)) == 0
    assert f"{output.stat().st_size} bytes, int8, offset" in capsys.readouterr().out
    interpreter = Interpreter(model_path=str(output), num_threads=1)
    interpreter.allocate_tensors()
    shapes = [tuple(details["shape"]) for details in interpreter.get_output_details()]
    assert (1, 18, 512) in shapes
    assert np.prod(interpreter.get_input_details()[0]["shape"]) == patterned_weights().d


def test_a_bundle_of_the_papers_weights_is_refused_with_what_works(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not a bundle.*-o NAME\.tflite"):
        _run(str(weights), "-o", str(tmp_path / "paper.lsib"))


def test_an_existing_file_is_kept(weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "paper.tflite"
    output.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="--force"):
        _run(str(weights), "-o", str(output))
    assert output.read_bytes() == b"mine"


def test_weights_without_a_head_cannot_be_cut_to_attributes(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no attribute head"):
        _run(str(weights), "-o", str(tmp_path / "p.tflite"), "--attributes", "Smiling")


def _recorded(path: Path, measurements: np.ndarray[Any, Any]) -> str:
    np.savez(path, measurements=measurements)
    return str(path)


def test_recorded_measurements_make_it_static(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    d = patterned_weights().d
    recorded = _recorded(tmp_path / "m.npz", np.random.default_rng(1).random((4, d)))
    output = tmp_path / "paper.tflite"
    assert _run(str(weights), "-o", str(output), "--static", recorded) == 0
    assert "static int8, offset" in capsys.readouterr().out
    interpreter = Interpreter(model_path=str(output), num_threads=1)
    assert np.int8 in {details["dtype"] for details in interpreter.get_tensor_details()}


@pytest.mark.parametrize("rows", [np.zeros((4, 5)), np.zeros((0, 4)), np.zeros(4), np.full((2, 4), np.nan)])
def test_measurements_that_do_not_fit_are_refused(
    weights: Path, tmp_path: Path, rows: np.ndarray[Any, Any]
) -> None:
    recorded = _recorded(tmp_path / "m.npz", rows)
    with pytest.raises(DataError, match="easurements"):
        _run(str(weights), "-o", str(tmp_path / "p.tflite"), "--static", recorded)
    assert not (tmp_path / "p.tflite").exists()


def test_a_file_without_measurements_is_refused_by_name(weights: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", labels=np.zeros(3))
    with pytest.raises(DataError, match=r"other\.npz holds no measurements"):
        _run(str(weights), "-o", str(tmp_path / "p.tflite"), "--static", str(tmp_path / "other.npz"))


def test_float_and_static_exclude_each_other(weights: Path, tmp_path: Path) -> None:
    recorded = _recorded(tmp_path / "m.npz", np.zeros((2, patterned_weights().d)))
    with pytest.raises(ConfigError, match="exclude"):
        _run(str(weights), "-o", str(tmp_path / "p.tflite"), "--float", "--static", recorded)
