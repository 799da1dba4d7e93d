"""Rows of baselines beside rows of learned masks: same scenes, same d, same light, same readers.

Pictures are compared in grey (``lab.baselines.grey``): what is decoded from our latents as well as what a
baseline reconstructs, against grey true pictures. A bank also has heads of its own; other methods have none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from lab.baselines.grey import Codes, Floats, grey_of_light, grey_of_pictures
from lab.baselines.lessons import Budget
from lab.baselines.methods import ADAPTATIONS, METHODS
from lab.baselines.picture_reader import Told, read_pictures
from lab.latent_evaluation import UNITS, LatentSet, LatentTable, Tell
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_exam import answers, encoder_from, macro_auc

LEARNED: Final = "learned masks"
PICTURE: Final = "grey picture"
HEADS: Final = "own heads"
COMPARED: Final = (
    "attribute_auc", "landmark_nme", "verification_auc", "recognition_rate", "frechet", "psnr", "ssim",
)  # fmt: skip
LESS_IS_BETTER: Final = frozenset({"landmark_nme", "frechet"})


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One figure of one method. ``reading`` is what it was read from: ``PICTURE`` or ``HEADS``."""

    method: str
    reading: str
    metric: str
    d: int
    value: float
    unit: str


@dataclass(frozen=True)
class Comparison:
    """Measures banks and baselines on the rows of ``table``.

    ``learned_from`` (n, 64, 64) are the training fields of baselines; readers and heads are fitted on
    the training rows of ``table``.
    """

    table: LatentTable
    learned_from: Floats = field(repr=False)
    budget: Budget

    @cached_property
    def grey(self) -> LatentTable:
        """The same rows without colour."""
        train, val = (
            replace(each, pictures=grey_of_pictures(each.pictures))
            for each in (self.table.train, self.table.val)
        )
        return replace(self.table, train=train, val=val)

    def bank_rows(self, checkpoint: LatentCheckpoint, tell: Tell) -> list[MethodRow]:
        """A bank by its own heads, and by the picture that is decoded from it."""
        d, masks = len(checkpoint.patterns), np.array(checkpoint.patterns.masks)
        name = name_of(checkpoint)
        tell(f"d = {d}: {name}")
        encoder = encoder_from(checkpoint, f"the checkpoint of d = {d}")
        train, val = self.table.train, self.table.val
        taught, (offsets, logits) = (
            answers(encoder, masks, train.fields, self.table.detector)[0],
            answers(encoder, masks, val.fields, self.table.detector),
        )
        heads = {"attribute_auc": macro_auc(logits, val.labels)} | self.table.of_landmarks(taught, offsets)
        decoded = [grey_of_pictures(self.table.decoder.pictures(each)) for each in (taught, offsets)]
        return [*_rows(name, HEADS, d, heads), *_rows(name, PICTURE, d, self._of_pictures(*decoded))]

    def method_rows(self, method: str, d: int, tell: Tell) -> list[MethodRow]:
        """A baseline, by its pictures."""
        tell(f"d = {d}: {method}")
        reconstruct = METHODS[method](self.learned_from, d, self.table.detector, self.budget, tell)
        size_px = self.table.val.pictures.shape[1]
        made = [
            grey_of_light(reconstruct(each.fields), size_px) for each in (self.table.train, self.table.val)
        ]
        return _rows(method, PICTURE, d, self._of_pictures(*made))

    def trivial_rows(self) -> list[MethodRow]:
        """What needs no measurement (d = 0)."""
        return [
            each for name, figures in self.grey.trivial.items() for each in _rows(name, PICTURE, 0, figures)
        ]

    def _of_pictures(self, train: Codes, val: Codes) -> dict[str, float]:
        read = read_pictures(train, _told(self.table.train), val, _told(self.table.val))
        return read | self.grey.of_pictures(val)


def compared(
    comparison: Comparison, checkpoints: Sequence[LatentCheckpoint], methods: Sequence[str], tell: Tell
) -> dict[str, Any]:
    """Banks and ``methods`` at every d of the banks with learned masks, and where those do not win."""
    rows = comparison.trivial_rows()
    for checkpoint in checkpoints:
        rows += comparison.bank_rows(checkpoint, tell)
    for d in sorted({len(each.patterns) for each in checkpoints if name_of(each) == LEARNED}):
        for method in methods:
            found = comparison.method_rows(method, d, tell)
            tell(", ".join(f"{each.metric} {each.value:.4g}" for each in found))
            rows += found
    lost, pairs = losses_of([asdict(row) for row in rows])
    return {
        "rows": [asdict(row) for row in rows],
        "losses": lost,
        "pairs": pairs,
        "budget": str(comparison.budget),
        "learned_from": len(comparison.learned_from),
        "adaptations": ADAPTATIONS,
    }


def name_of(checkpoint: LatentCheckpoint) -> str:
    """What a bank is called among methods: its masks are learned, or stay what they started from."""
    settings = checkpoint.record.get("settings", {})
    if not settings.get("fixed_masks"):
        return LEARNED
    start = {"noise": "random"}.get(settings.get("start", ""), "fixed")
    return f"{start} masks, our encoder"


def losses_of(rows: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Where a row of learned masks does not beat a baseline's, and how many pairs were compared.

    Compared are rows of one metric, d and reading; a draw is no win.
    """
    pairs = [
        (ours, other)
        for ours, other in _pairs(list(rows))
        if not np.isnan([ours["value"], other["value"]]).any()
    ]
    lost = [
        {
            "metric": ours["metric"], "d": ours["d"], "reading": ours["reading"],
            "learned_masks": ours["value"], "baseline": other["method"], "its_value": other["value"],
        }
        for ours, other in pairs
        if not _beats(ours, other)
    ]  # fmt: skip
    return lost, len(pairs)


def _pairs(rows: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for ours in (each for each in rows if each["method"] == LEARNED):
        for other in rows:
            same = all(ours[key] == other[key] for key in ("metric", "d", "reading"))
            if other["method"] != LEARNED and same:
                yield ours, other


def _beats(ours: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    gain = ours["value"] - other["value"]
    return bool(gain < 0 if ours["metric"] in LESS_IS_BETTER else gain > 0)


def _rows(method: str, reading: str, d: int, figures: Mapping[str, float]) -> list[MethodRow]:
    return [
        MethodRow(method, reading, metric, d, figures[metric], UNITS[metric])
        for metric in COMPARED
        if metric in figures
    ]


def _told(rows: LatentSet) -> Told:
    return Told(rows.labels, rows.landmarks)
