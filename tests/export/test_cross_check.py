"""Our writer beside litert-torch, where ``make cross-check`` has made its environment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cross_check import PYTHON, Pair, compared, figures_of
from export.paper_program import Op, Program, Step
from export.paper_tflite import Recipe, tflite_model


def _program(gain: float = 1.0) -> Program:
    weights = gain * np.random.default_rng(1).standard_normal((5, 4))
    return Program("m", 4, (Step(Op.LINEAR, "y", ("m",), (weights,)),), ("y",))


def _pair(theirs: Program) -> Pair:
    ours, other = (tflite_model(each, Recipe.FLOAT32) for each in (_program(), theirs))
    inputs = np.random.default_rng(2).standard_normal((20, 4)).astype(np.float32)
    return Pair(_program(), ours, 0.5, other, inputs)


def test_the_same_network_agrees_and_one_that_is_a_thousandth_off_does_not() -> None:
    same, other = (compared("small", _pair(_program(gain)), 1.0)[0] for gain in (1.0, 1.001))
    assert (same.holds, other.holds) == (True, False)
    assert other.value > 1e-3
    assert same.value < 1e-5


def test_sizes_operators_and_times_stand_beside_theirs() -> None:
    pair = replace(_pair(_program()), theirs=tflite_model(_program(), Recipe.INT8))
    figures = {figure.name: figure for figure in compared("small", pair, 60.0)}
    assert figures["small_conversion_cpu_s"].beside == {"theirs": 60.0}
    assert figures["small_file_mb"].value == len(pair.ours) / 1e6
    assert figures["small_operators"].value == 1


@pytest.mark.skipif(
    not PYTHON.exists(), reason="no environment with litert-torch (make cross-check makes it)"
)
def test_litert_torch_writes_the_same_latent_encoder(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, PYTHON, 16, ["latent"])
    assert figures[0].name == "latent_difference"
    assert figures[0].holds
    assert figures[2].value <= figures[2].beside["theirs"]
