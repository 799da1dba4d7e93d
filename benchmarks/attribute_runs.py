r"""Checkpoints of the long runs gathered into one result file: a row per d, mean over seeds.

Each checkpoint of ``lsi train attributes`` carries its figures on the report half of val. This reads
them; with ``--data`` it measures how well the faces are answered that they learned from.

    python -m benchmarks.attribute_runs checkpoints/runs/*.npz --data celebahq128_train.npz \
        > benchmarks/results/attribute_runs.json
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attribute_curves import SEEN, auc_and_accuracy, noise_free_logits
from benchmarks.report import machine
from training.attributes.checkpoint import Checkpoint, load_checkpoint
from training.data_sets.data import open_data

POINTS = 100.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Gather and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribute_runs", description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="files of 'lsi train attributes'")
    parser.add_argument("--photons", type=Path, help="checkpoint trained for an ideal detector")
    parser.add_argument("--nested", type=Path, nargs="*", default=[], help="checkpoints of one nested bank")
    parser.add_argument("--teacher", type=Path, help="file of 'lsi train teacher', for the ceiling")
    parser.add_argument("--data", type=Path, help="the faces they learned from (.npz)")
    parsed = parser.parse_args(arguments)
    found = [load_checkpoint(path) for path in parsed.checkpoints]
    document: dict[str, Any] = {
        "benchmark": "attribute_runs",
        "command": sorted({each.record["command"] for each in found}),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
        "split": "report half of val, by person; linear light, two arms, 64 x 64 masks, without noise",
        "rows": [_row(d, [each for each in found if len(each.patterns) == d]) for d in _sizes(found)],
    }
    if parsed.data is not None:
        _add_learned(document["rows"], found, parsed.data)
    if parsed.photons is not None:
        document["ideal"] = _ideal(load_checkpoint(parsed.photons))
    if parsed.nested:
        document["nested"] = _nested([load_checkpoint(path) for path in parsed.nested], document["rows"])
    if parsed.teacher is not None:
        document["ceiling"] = _ceiling(parsed.teacher)
    print(json.dumps(document, indent=2))
    return 0


def _sizes(checkpoints: Sequence[Checkpoint]) -> list[int]:
    return sorted({len(each.patterns) for each in checkpoints})


def _row(d: int, seeds: Sequence[Checkpoint]) -> dict[str, Any]:
    figures = [each.record["figures"] for each in seeds]
    accuracies = [POINTS * each["macro_accuracy_noise_free"] for each in figures]
    areas = [each["macro_auc_noise_free"] for each in figures]
    return {
        "d": d,
        "seeds": len(seeds),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_spread": float(np.ptp(accuracies)),
        "majority": POINTS * figures[0]["macro"]["majority"],
        "auc": float(np.mean(areas)),
        "auc_spread": float(np.ptp(areas)),
        "accuracy_with_noise": POINTS * float(np.mean([e["macro"]["accuracy"]["value"] for e in figures])),
        "auc_with_noise": float(np.mean([each["macro_auc"] for each in figures])),
        "auc_95": [_mean_of(figures, "auc", "low_95"), _mean_of(figures, "auc", "high_95")],
    }


def _add_learned(rows: Sequence[dict[str, Any]], checkpoints: Sequence[Checkpoint], data: Path) -> None:
    """Noise-free figures of the first faces that the banks learned from, mean over seeds."""
    faces = open_data(data).faces(checkpoints[0].attributes.names, np.arange(SEEN))
    for row in rows:
        pairs = [
            auc_and_accuracy(noise_free_logits(each.patterns.masks, each.read_out, faces), faces)
            for each in checkpoints
            if len(each.patterns) == row["d"]
        ]
        row["train_auc"], row["train_accuracy"] = np.mean(pairs, axis=0).tolist()


def _mean_of(figures: Sequence[dict[str, Any]], name: str, field: str) -> float:
    return float(np.mean([each["macro"][name][field] for each in figures]))


def _ideal(checkpoint: Checkpoint) -> dict[str, Any]:
    """Trained for and judged by photon noise alone."""
    macro = checkpoint.record["figures"]["macro"]
    return {
        "d": len(checkpoint.patterns),
        "photons": checkpoint.record["photons"],
        "accuracy": POINTS * macro["accuracy"]["value"],
        "majority": POINTS * macro["majority"],
        "auc": macro["auc"]["value"],
        "command": checkpoint.record["command"],
    }


def _nested(sizes: Sequence[Checkpoint], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Points of accuracy that one bank for all sizes loses against a bank per size."""
    own = {row["d"]: row["accuracy"] for row in rows}
    found = {len(each.patterns): POINTS * _noise_free(each) for each in sizes}
    loss = {str(d): own[d] - accuracy for d, accuracy in sorted(found.items()) if d in own}
    return {"loss_points": loss, "command": sizes[0].record["command"]}


def _noise_free(checkpoint: Checkpoint) -> float:
    return float(checkpoint.record["figures"]["macro_accuracy_noise_free"])


def _ceiling(path: Path) -> dict[str, Any]:
    from training.attributes.soft_labels import load_soft_labels  # noqa: PLC0415 - only where there is a teacher

    figures: dict[str, Any] = load_soft_labels(path).record["figures"]["report"]
    return figures


if __name__ == "__main__":
    sys.exit(main())
