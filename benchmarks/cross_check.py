"""Our TFLite writer beside litert-torch: the same PyTorch network, converted by both, on one runtime.

The converter needs 2 GB in an environment of its own (``make cross-check`` makes it). The paper's encoder has
weights by the golden rule, our latent encoder random ones; both files are float32, and float64 judges both.

    python -m benchmarks.cross_check --json
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper_rig import D, Model, contents
from benchmarks.report import Figure, report
from export.latent_program import latent_program
from export.paper_export import plain_encoder, simplified
from export.paper_program import Program, results
from export.paper_tflite import Recipe, tflite_model
from tests.export.latent_small import small_latent_checkpoint
from tests.training.paper_golden import golden_weights
from training.latent.latent_checkpoint import save_latent_checkpoint
from training.paper.paper_weights import save_paper_weights

ROOT: Final = Path(__file__).resolve().parents[1]
PYTHON: Final = ROOT / ".venv-litert-torch/bin/python"
NETWORKS: Final = ("paper", "latent")
ROWS: Final = 32
SEED: Final = 7
GOAL: Final = 1e-4
"""Largest difference, in units of the spread of the outputs; float32 itself leaves 2e-5."""
BYTES_PER_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Pair:
    """One network in both files, how long writing ours took, and inputs (n, d) for them."""

    program: Program
    ours: bytes
    ours_s: float
    theirs: bytes
    inputs: NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, compare and print; the answer is 1 where the two differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cross_check", description=__doc__)
    parser.add_argument("--python", type=Path, default=PYTHON, help="of an environment with litert-torch")
    parser.add_argument("--rows", type=int, default=ROWS, help="random measurements to compare")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    if not parsed.python.exists():
        print("litert-torch is in no environment. Try: make cross-check", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="lsi-bench-") as folder:
        figures = figures_of(Path(folder), parsed.python, parsed.rows)
    print(report("cross_check", figures, as_json=parsed.json))
    return 0 if all(figure.holds is not False for figure in figures) else 1


def figures_of(folder: Path, python: Path, rows: int, names: Sequence[str] = NETWORKS) -> list[Figure]:
    """The named networks through both converters; ``python`` is one that has litert-torch."""
    programs = {name: _saved(name, folder / f"{name}.npz") for name in names}
    told = _converted(folder, python)
    figures = []
    for name, program in programs.items():
        pair = _pair(program, (folder / f"{name}.theirs.tflite").read_bytes(), rows)
        figures += compared(name, pair, float(told[f"{name}_cpu_s"]))
    return figures


def _saved(name: str, path: Path) -> Program:
    """Our program of a network, whose weights are written to ``path`` for the other converter."""
    if name == "paper":
        golden = golden_weights(D)
        save_paper_weights(golden, path)
        return simplified(plain_encoder(golden))
    latent = small_latent_checkpoint()
    save_latent_checkpoint(latent, path)
    return latent_program(latent.encoder, latent.shape)


def _converted(folder: Path, python: Path) -> dict[str, str]:
    command = [str(python), "-m", "benchmarks.cross_check_convert", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - ourselves
    told: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return told


def _pair(program: Program, theirs: bytes, rows: int) -> Pair:
    began_s = time.process_time()
    ours = tflite_model(program, Recipe.FLOAT32)
    ours_s = time.process_time() - began_s
    inputs = np.random.default_rng(SEED).standard_normal((rows, program.d)).astype(np.float32)
    return Pair(program, ours, ours_s, theirs, inputs)


def compared(name: str, pair: Pair, their_s: float) -> list[Figure]:
    """Difference, size, operators and time of both files; ``their_s`` is what litert-torch took."""
    exact = [each[:, 0] if each.shape[1] == 1 else each for each in results(pair.program, pair.inputs)]
    here, there = (_outputs(model, pair.inputs, exact) for model in (pair.ours, pair.theirs))
    apart = _largest(here, there, exact)
    beside = {
        "ours_to_float64": _largest(here, exact, exact),
        "theirs_to_float64": _largest(there, exact, exact),
    }
    counts = [float(contents(model).operators) for model in (pair.ours, pair.theirs)]
    sizes = [len(model) / BYTES_PER_MB for model in (pair.ours, pair.theirs)]
    measured = {
        "file_mb": ("MB", sizes),
        "operators": ("operators", counts),
        "conversion_cpu_s": ("s", [pair.ours_s, their_s]),
    }
    difference = f"{name}_difference"
    return [Figure(difference, apart, "of the spread", f"at most {GOAL:g}", apart <= GOAL, beside)] + [
        Figure(f"{name}_{what}", ours, unit, None, None, {"theirs": theirs})
        for what, (unit, (ours, theirs)) in measured.items()
    ]


def _outputs(
    model: bytes, inputs: NDArray[np.float32], like: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float32]]:
    """The outputs in the order of ``like``, told apart by their size: converters name them freely."""
    by_size = {each[0].size: each for each in Model(model).outputs(inputs)}
    return [by_size[each[0].size].reshape(each.shape) for each in like]


def _largest(
    some: Sequence[NDArray[np.floating]],
    others: Sequence[NDArray[np.floating]],
    exact: Sequence[NDArray[np.float64]],
) -> float:
    """Largest difference of any output, in units of that output's spread."""
    trios = zip(some, others, exact, strict=True)
    return max(float(np.abs(a - b).max() / each.std()) for a, b, each in trios)


if __name__ == "__main__":
    sys.exit(main())
