"""``lsi export`` for the paper's weights."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import export_command
from lsi.errors import ConfigError
from tests.training.paper_tiny import patterned_weights
from training.paper_weights import save_paper_weights


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
