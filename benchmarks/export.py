"""What the export of the paper's encoder costs and how close its int8 files are to float64.

Export runs from weights in memory to the bytes of a checked file, in seconds of CPU. Accuracy is that of
random weights by the golden rule; ``beside`` has a milder set, and what is left when weights are not rounded
and only the runtime quantises the inputs of linear steps: int8 weights can hardly be closer than that.
With ``--trained`` it is that of trained weights, and nothing else is measured.

    python -m benchmarks.export --json
    python -m benchmarks.paper_trained -o trained.npz
    python -m benchmarks.export --trained trained.npz --json
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper_rig import (
    Agreement,
    D,
    Model,
    TrainedEncoder,
    agreement,
    contents,
    load_trained,
    milder,
    with_int8_inputs,
)
from benchmarks.report import Figure, report
from export.paper_export import paper_model, plain_encoder, simplified
from export.paper_program import Program, results
from export.paper_static import static_model
from export.paper_tflite import Recipe, tflite_model
from tests.training.paper_golden import golden_weights
from training.paper.paper_weights import STYLES, PaperWeights

ROUNDS: Final = 7
ROWS: Final = 128
SEED: Final = 7
BYTES_PER_MB: Final = 1e6
GOAL_EXPORT_S: Final = 1.0
GOAL_FILE_MB: Final = 20.0
GOAL_OPERATORS: Final = 350
GOAL_COSINE: Final = 0.9995
GOAL_SIGNS: Final = 0.99


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS, help="random measurements to compare")
    parser.add_argument("--trained", type=Path, metavar="FILE", help="of benchmarks.paper_trained")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    if parsed.trained is None:
        weights = golden_weights(D)
        figures = [*_costs(weights, parsed.rounds), *_of_random(weights, parsed.rows)]
    else:
        figures = _of_trained(load_trained(parsed.trained), parsed.rows)
    print(report("export", figures, as_json=parsed.json))
    return 0


def _costs(weights: PaperWeights, rounds: int) -> list[Figure]:
    cpu_s, clock_s = zip(*(_export_s(weights) for _ in range(rounds)), strict=True)
    seconds = float(np.median(cpu_s))
    model = paper_model(weights)
    plain = tflite_model(plain_encoder(weights), Recipe.FLOAT32)
    held, size_mb = contents(model), len(model) / BYTES_PER_MB
    return [
        Figure(
            "export_s", seconds, "s", f"at most {GOAL_EXPORT_S:g}", seconds <= GOAL_EXPORT_S,
            {"fastest": min(cpu_s), "slowest": max(cpu_s), "on_the_clock": float(np.median(clock_s))},
        ),
        Figure(
            "file_mb", size_mb, "MB", f"at most {GOAL_FILE_MB:g}", size_mb <= GOAL_FILE_MB,
            {
                "float32_unsimplified": len(plain) / BYTES_PER_MB,
                "int8_weights": held.int8_bytes / BYTES_PER_MB,
            },
        ),
        Figure(
            "operators", held.operators, "operators", f"at most {GOAL_OPERATORS}",
            held.operators <= GOAL_OPERATORS,
            {"float32_unsimplified": contents(plain).operators},
        ),
    ]  # fmt: skip


def _of_random(weights: PaperWeights, rows: int) -> list[Figure]:
    golden, mild = (simplified(plain_encoder(each)) for each in (weights, milder(weights)))
    generator = np.random.default_rng(SEED)
    inputs, calibration = (generator.standard_normal((rows, D)).astype(np.float32) for _ in range(2))
    found, milder_found = (_agreements(each, inputs, calibration) for each in (golden, mild))
    return _accuracy(found["dynamic"], {f"mild_{name}": each for name, each in milder_found.items()} | found)


def _of_trained(trained: TrainedEncoder, rows: int) -> list[Figure]:
    calibration, inputs = trained.measurements[:rows], trained.measurements[rows : 2 * rows]
    found = _agreements(trained.program, inputs, calibration, trained.chosen)
    auc = Figure("auc_of_trained", trained.auc, "AUC", None, None, {"chance": 0.5})
    return [*_accuracy(found["dynamic"], found), auc]


def _agreements(
    program: Program,
    inputs: NDArray[np.float32],
    calibration: NDArray[np.float32],
    tokens: Sequence[int] = range(STYLES),
) -> dict[str, Agreement]:
    """Each form of the file on ``inputs`` (n, d) against float64, judged on some tokens of the offset."""
    offset, logits = results(program, inputs)
    wanted = (offset[:, 0, tokens], logits[:, 0])
    forms = {
        "dynamic": tflite_model(program, Recipe.INT8),
        "static": static_model(program, calibration),
    }
    found = {}
    for name, model in forms.items():
        outputs = Model(model).outputs(inputs)
        found[name] = agreement([outputs[0][:, tokens], outputs[1]], wanted)
    unrounded = with_int8_inputs(program, inputs)
    found["unrounded_weights"] = agreement([unrounded[0][:, 0, tokens], unrounded[1][:, 0]], wanted)
    return found


def _accuracy(dynamic: Agreement, others: Mapping[str, Agreement]) -> list[Figure]:
    cosines = {name: each.cosine for name, each in others.items() if each is not dynamic}
    signs = {name: each.signs for name, each in others.items() if each is not dynamic}
    return [
        Figure(
            "latent_cosine", dynamic.cosine, "median cosine", f"at least {GOAL_COSINE:g}",
            dynamic.cosine >= GOAL_COSINE, cosines,
        ),
        Figure(
            "logit_sign_agreement", dynamic.signs, "share", f"at least {GOAL_SIGNS:g}",
            dynamic.signs >= GOAL_SIGNS, {**signs, "chance": 0.5},
        ),
    ]  # fmt: skip


def _export_s(weights: PaperWeights) -> tuple[float, float]:
    """Seconds of CPU, and those on the clock; alike where nothing else runs."""
    started_s, began_s = time.process_time(), time.perf_counter()
    paper_model(weights)
    return time.process_time() - started_s, time.perf_counter() - began_s


if __name__ == "__main__":
    sys.exit(main())
