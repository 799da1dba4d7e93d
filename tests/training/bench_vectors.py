"""Measured vectors of nobody: random measurements, answered by a small read-out."""

from dataclasses import replace

import numpy as np

from lsi.sensor import SensorModel
from tests.training.tiny import NAMES, measurements_for, tiny_checkpoint
from training.attributes.checkpoint import Checkpoint
from training.data_sets.measured_vectors import Bench, MeasuredVectors
from training.read_outs.read_out import Dense

SENSOR = SensorModel(12, 3.3, 0.3, 1e7, 8.0, 8000.0, 298.0, 0.35e-3, 0.1, 1.0, 100.0)


def start() -> Checkpoint:
    """The tiny checkpoint with logits of a few nats, as trained ones have."""
    checkpoint = tiny_checkpoint({"seed": 3})
    *trunk, last = checkpoint.read_out.layers
    logits = checkpoint.read_out.logits(measurements_for(checkpoint.read_out, 500))
    size = 4 / logits.std(axis=0)
    head = Dense(last.weights * size[:, None], ((last.bias - logits.mean(axis=0)) * size).astype(np.float32))
    return replace(checkpoint, read_out=replace(checkpoint.read_out, layers=(*trunk, head)))


def bench_of(checkpoint: Checkpoint, **changes: object) -> Bench:
    fields: dict[str, object] = {
        "pattern_digest": checkpoint.patterns.digest,
        "bundle": "tiny 0.1.0",
        "content_id": "0" * 64,
        "board": "sim",
        "sensor": SENSOR,
        "data": "scenes.npz",
        "data_digest": "1" * 64,
        "part": "all",
        "faults": {},
    }
    return Bench(**{**fields, **changes})  # type: ignore[arg-type]  # any field


def measured(checkpoint: Checkpoint, rows: int, *, common: float = 0.0, seed: int = 5) -> MeasuredVectors:
    """Two vectors a person; labels are drawn from what the read-out says before ``common`` is added."""
    true = measurements_for(checkpoint.read_out, rows, seed)
    chance = 1 / (1 + np.exp(-checkpoint.read_out.logits(true)[:, :-1]))
    answers = np.random.default_rng(seed).random(chance.shape) < chance
    return MeasuredVectors(
        measurements=(true + np.float32(common)).astype(np.float32),
        attributes=np.where(answers, 1, -1).astype(np.int8),
        identity=np.arange(rows, dtype=np.int64) // 2,
        rows=np.arange(rows, dtype=np.int64),
        attribute_names=NAMES,
        dropped={"LowLightError": (rows, rows + 1)},
        bench=bench_of(checkpoint),
    )
