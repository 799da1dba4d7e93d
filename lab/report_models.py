"""Checkpoints as the report runs them: fields to logits, at any light and under any disturbance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from lsi.sensor import SensorModel
from training.attributes.checkpoint import Checkpoint, load_checkpoint
from training.attributes.soft_labels import load_soft_labels
from training.data_sets.luminance import FIELD_PX
from training.light.detectors import IdealDetector
from training.light.disturbance import Disturbance, disturbed
from training.light.forward_model import Detector, TwoArms

NOISE_SEED: Final = 20_100
"""Every point of a curve sees the same noise, so that their differences are those of the axis."""
ROWS_AT_ONCE: Final = 256
STILL: Final = Disturbance()


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """One checkpoint with the detector it was trained for.

    ``samples`` are conversions per mask and arm of its board. ``trained`` says in words how the run differs
    from a plain one, such as "one nested bank"; models of the same d and words are seeds of one system.
    """

    name: str
    checkpoint: Checkpoint
    detector: TwoArms
    samples: int
    seed: int
    light: str
    trained: str = ""

    @property
    def d(self) -> int:
        """Number of masks."""
        return len(self.checkpoint.patterns)

    @property
    def system(self) -> tuple[int, str]:
        """What the seeds of one system have in common."""
        return self.d, self.trained

    @property
    def power(self) -> float:
        """Light of a white scene on both arms that the detector is made for, in its own unit."""
        return self.detector.nominal_power

    def logits(
        self,
        fields: NDArray[np.float32],
        power: float | None,
        disturbance: Disturbance = STILL,
        detector: TwoArms | None = None,
    ) -> NDArray[np.float64]:
        """Logits (n, K + 1) of fields (n, 64, 64).

        Args:
            fields: Linear luminance 0..1.
            power: Light of a white scene, in the detector's own unit; ``None`` is no noise at all.
            disturbance: Of every scene; dead mirrors are others for every ``ROWS_AT_ONCE`` rows.
            detector: Instead of the one of the training.
        """
        masks = torch.tensor(self.checkpoint.patterns.masks, dtype=torch.float32)
        found = []
        for index, block in enumerate(torch.split(torch.tensor(fields), ROWS_AT_ONCE)):
            generator = torch.Generator().manual_seed(NOISE_SEED + index)
            light = None if power is None else torch.full((len(block),), power)
            seen = disturbed(block, masks, detector or self.detector, light, disturbance, generator)
            found.append(self.checkpoint.read_out.logits(seen.numpy().astype(np.float32)))
        return np.concatenate(found).astype(np.float64)


def load_models(paths: Sequence[Path]) -> list[Model]:
    """Read checkpoints, smallest d and seed first.

    Raises:
        ConfigError: They do not answer the same attributes.
        DataError: One of them is no checkpoint, or its record lacks the sensor.
    """
    models = sorted((_model(path) for path in paths), key=lambda each: (*each.system, each.seed, each.name))
    names = models[0].checkpoint.attributes.names
    for each in models:
        if each.checkpoint.attributes.names != names:
            found = f"{each.name} and {models[0].name} answer different attributes."
            raise ConfigError(found, hint="one report per set of attributes.")
    return models


def _model(path: Path) -> Model:
    checkpoint = load_checkpoint(path)
    record = checkpoint.record
    try:
        real = Detector(SensorModel(**record["sensor"]), int(record["samples"]))
        photons, settings = record.get("photons"), record["settings"]
        seed = int(settings["seed"])
    except (KeyError, TypeError, ValueError) as cause:
        found = f"{path} does not say for which sensor and with which seed it was trained."
        raise DataError(found, hint="a checkpoint written by 'lsi train attributes'.") from cause
    if checkpoint.patterns.shape[1:] != (FIELD_PX, FIELD_PX):
        found = f"{path} has masks of {checkpoint.patterns.shape[1:]}."
        raise DataError(found, hint=f"masks of {FIELD_PX} x {FIELD_PX}.")
    return Model(
        name=path.stem,
        checkpoint=checkpoint,
        detector=real if photons is None else IdealDetector(photons),
        samples=real.samples,
        seed=seed,
        light=_light(real) if photons is None else f"{photons:g} photons, ideal",
        trained=_training(settings, photons),
    )


def _light(detector: Detector) -> str:
    return f"{detector.sensor.power_nw:g} nW, {detector.sensor.adc_bits} bit"


def _training(settings: Mapping[str, Any], photons: float | None) -> str:
    """How a run differs from a plain one."""
    words = []
    if settings.get("nested"):
        words.append("one nested bank")
    if photons is not None:
        words.append(f"trained for {photons:g} photons")
    elif "power_bounds_nw" in settings and settings["power_bounds_nw"] is None:
        words.append("trained without noise")
    if "disturbance" in settings and settings["disturbance"] is None:
        words.append("trained on a still rig")
    return ", ".join(words)


def read_teacher(path: Path, rows: int, names: Sequence[str]) -> NDArray[np.float64]:
    """The teacher's scores (n, K), in row order of the val file, cut to ``names``.

    Raises:
        DataError: No such file, other rows, or an attribute is missing.
    """
    teacher = load_soft_labels(path)
    missing = [name for name in names if name not in teacher.names]
    if len(teacher.val_logits) != rows or missing:
        lacks = f"; lacks {', '.join(missing)}" if missing else ""
        found = f"{path} has scores of {len(teacher.val_logits)} rows, not {rows}{lacks}."
        raise DataError(found, hint="a teacher that was trained with this val file.")
    columns = [teacher.names.index(name) for name in names]
    cut: NDArray[np.float64] = teacher.val_logits[:, columns].astype(np.float64)
    return cut
