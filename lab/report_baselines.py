"""The baselines of the report, trained here and now on the training file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.report_scores import Label, Predictor
from training.attributes.baselines import BaselineSettings, LearnedOptics, Optics, train_fixed, train_learned
from training.attributes.ridge_picture import fit_ridge, ridge_pixels
from training.data_sets.data import DataFile
from training.data_sets.luminance import field_of_picture
from training.mask_banks.baseline_masks import FIXED, Floats, ratios

FREEFORM_D: Final = 8
NOISE_FREE: Final = "noise-free"
PROGRESS_ROWS: Final = 4000
_NOTES: Final = {
    "random masks": "not trained, only the read-out",
    "low-frequency Hadamard": "not trained, only the read-out",
    "PCA components": "not realisable as binary masks",
}
_ARMS: Final = {Optics.TWO_ARMS: "2", Optics.ONE_ARM: "1", Optics.FREEFORM: "one detector per mask"}
_LEARNED: Final = {
    Optics.TWO_ARMS: ("learned masks, short run", "the peer of the rows below: same rows, same epochs"),
    Optics.ONE_ARM: ("learned masks, short run, one arm", "sees the scene's brightness, does not cancel it"),
    Optics.FREEFORM: ("freeform pixels, short run", "grey masks, no mirrors: all masks at once"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Pictures:
    """Rows of a data file. Shape: ``fields`` (n, 64, 64), ``pixels`` (n, 3072), ``attributes`` (n, K)."""

    fields: Floats
    pixels: NDArray[np.uint8]
    attributes: NDArray[np.int8]

    def rows(self, chosen: NDArray[np.bool_]) -> "Pictures":
        """The rows where ``chosen`` (n,) is true."""
        return Pictures(self.fields[chosen], self.pixels[chosen], self.attributes[chosen])


def read_pictures(data: DataFile, names: Sequence[str], progress: Callable[[str], None]) -> Pictures:
    """Decode every row once.

    Raises:
        DataError: A picture cannot be read.
    """
    columns = [data.attribute_names.index(name) for name in names]
    fields, pixels = [], []
    for row in range(len(data)):
        picture = data.picture(row)
        fields.append(field_of_picture(picture))
        pixels.append(ridge_pixels(picture))
        if (row + 1) % PROGRESS_ROWS == 0:
            progress(f"{data.path.name}: {row + 1} of {len(data)} pictures")
    return Pictures(np.stack(fields), np.stack(pixels), np.asarray(data.attributes[:, columns]))


@dataclass(frozen=True, slots=True, repr=False)
class Workshop:
    """Where the baselines are made: rows to train on, rows to answer, settings of every run."""

    train: Pictures
    tune: Pictures
    report: Pictures
    settings: BaselineSettings
    seeds: tuple[int, ...]
    progress: Callable[[str], None]

    def predictor(self, label: Label, seed: int | None, tune: Floats, report: Floats) -> Predictor:
        """Scores with their label."""
        self.progress(f"baseline: {label.system}, d = {label.d}, seed {seed}")
        return Predictor(label, seed, tune.astype(np.float64), report.astype(np.float64))


def baselines(workshop: Workshop, banks: Sequence[int], main_d: int) -> list[list[Predictor]]:
    """Every baseline, the seeds of one together.

    Args:
        workshop: Rows and settings.
        banks: The d for which masks without training are tried.
        main_d: The d of the learned masks of the short runs.
    """
    found = [bank for name in FIXED for bank in _fixed(workshop, name, banks)]
    for optics, d in ((Optics.TWO_ARMS, main_d), (Optics.ONE_ARM, main_d), (Optics.FREEFORM, FREEFORM_D)):
        found.append([_learned(workshop, optics, d, seed) for seed in workshop.seeds])
    return [*found, [_ridge(workshop)]]


def _fixed(workshop: Workshop, name: str, banks: Sequence[int]) -> list[list[Predictor]]:
    """One list of seeds per bank. All banks are prefixes of the largest, measured once."""
    found: list[list[Predictor]] = [[] for _ in banks]
    for seed in workshop.seeds:
        signed = FIXED[name](workshop.train.fields, max(banks), seed)
        train, *halves = (
            ratios(each.fields, signed) for each in (workshop.train, workshop.tune, workshop.report)
        )
        settings = replace(workshop.settings, seed=seed)
        for d, seeds in zip(banks, found, strict=True):
            trained = train_fixed(train[:, :d].copy(), workshop.train.attributes, settings)
            tune, report = (trained.logits(half[:, :d].copy()) for half in halves)
            seeds.append(
                workshop.predictor(Label(name, d, "2", NOISE_FREE, _NOTES[name]), seed, tune, report)
            )
    return found


def _learned(workshop: Workshop, optics: Optics, d: int, seed: int) -> Predictor:
    system, note = _LEARNED[optics]
    layer = LearnedOptics(optics, d, workshop.train.fields.shape[-1], seed)
    settings = replace(workshop.settings, seed=seed)
    trained = train_learned(layer, workshop.train.fields, workshop.train.attributes, settings)
    label = Label(system, d, _ARMS[optics], NOISE_FREE, note)
    tune, report = (trained.logits(half.fields) for half in (workshop.tune, workshop.report))
    return workshop.predictor(label, seed, tune, report)


def _ridge(workshop: Workshop) -> Predictor:
    weights = fit_ridge(workshop.train.pixels, workshop.train.attributes)
    label = Label("ridge on the 32 x 32 colour picture", None, "camera", "gamma-coded", "sees the picture")
    halves = (workshop.tune, workshop.report)
    tune, report = (weights.scores(half.pixels).astype(np.float32) for half in halves)
    return workshop.predictor(label, None, tune, report)
