"""What the export of the paper's encoder costs and how close its int8 file is to float64.

Export runs from weights in memory to the bytes of a checked file. Accuracy is that of random weights by the
golden rule, not of a trained checkpoint; ``beside`` has a milder set.

    python -m benchmarks.export --json
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.paper_rig import Agreement, D, Model, agreement, contents, milder
from benchmarks.report import Figure, report
from export.paper_export import paper_model, plain_encoder
from export.paper_tflite import Recipe, tflite_model
from tests.training.paper_golden import golden_weights
from training.paper_forward import paper_logits, paper_offset
from training.paper_weights import PaperWeights

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
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    weights = golden_weights(D)
    golden, mild = (_int8_agreement(each, parsed.rows) for each in (weights, milder(weights)))
    figures = [*_costs(weights, parsed.rounds), *_accuracy(golden, mild)]
    print(report("export", figures, as_json=parsed.json))
    return 0


def _costs(weights: PaperWeights, rounds: int) -> list[Figure]:
    times = sorted(_export_s(weights) for _ in range(rounds))
    seconds = float(np.median(times))
    model = paper_model(weights)
    plain = tflite_model(plain_encoder(weights), Recipe.FLOAT32)
    held, size_mb = contents(model), len(model) / BYTES_PER_MB
    return [
        Figure(
            "export_s", seconds, "s", f"at most {GOAL_EXPORT_S:g}", seconds <= GOAL_EXPORT_S,
            {"fastest": times[0], "slowest": times[-1]},
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


def _accuracy(golden: Agreement, mild: Agreement) -> list[Figure]:
    return [
        Figure(
            "latent_cosine", golden.cosine, "median cosine", f"at least {GOAL_COSINE:g}",
            golden.cosine >= GOAL_COSINE,
            {"mild_weights": mild.cosine},
        ),
        Figure(
            "logit_sign_agreement", golden.signs, "share", f"at least {GOAL_SIGNS:g}",
            golden.signs >= GOAL_SIGNS,
            {"mild_weights": mild.signs, "chance": 0.5},
        ),
    ]  # fmt: skip


def _export_s(weights: PaperWeights) -> float:
    started = time.perf_counter()
    paper_model(weights)
    return time.perf_counter() - started


def _int8_agreement(weights: PaperWeights, rows: int) -> Agreement:
    inputs = np.random.default_rng(SEED).standard_normal((rows, D)).astype(np.float32)
    offset = paper_offset(weights, inputs)
    return agreement(Model(paper_model(weights)).outputs(inputs), (offset, paper_logits(weights, offset)))


if __name__ == "__main__":
    sys.exit(main())
