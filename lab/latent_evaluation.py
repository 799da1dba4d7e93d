"""The paper's table for our latent path: every figure beside trivial predictors and the teacher's ceiling.

Trivial: chance, the majority, the mean training face, the training face with the nearest offset, the mean
shape. Ceiling: the latents that the teacher gives for the whole colour picture, decoded, or read by the same
kind of heads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from host.decoder.decoder import OwnDecoder
from host.decoder.segmentation_head import segmented
from lab.face_networks import Recogniser
from lab.latent_heads import fit_landmarks, segmentation_epochs
from lab.latent_intervals import Interval, auc_interval, mean_interval
from lab.memorisation import memorisation, sampled_offsets
from lab.picture_measures import (
    frechet_distance,
    landmark_rows,
    psnr_rows_db,
    recognition_rate,
    ssim_rows,
    verification_rows,
)
from training.generator.segmentation_head import IGNORED, mean_f1, modal_map, train_segmentation
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_exam import answers, encoder_from, macro_auc
from training.latent.latent_heads import fit_head
from training.light.forward_model import TwoArms
from training.scores.figures import known, mean_of_known

GALLERY: Final = 100
"""People among whom one is recognised, with one picture each."""
CEILING: Final = "teacher"
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attribute_auc": "macro AUC",
        "attribute_accuracy": "part",
        "psnr": "dB",
        "ssim": "SSIM",
        "verification_auc": "AUC",
        "recognition_rate": "part",
        "frechet": "distance, less is better",
        "landmark_nme": "part of the diagonal, less is better",
        "segmentation_f1": "mean over classes",
    }
)

Codes = NDArray[np.uint8]
Offsets = NDArray[np.float32]
Logits = NDArray[np.float32]
Figures = dict[str, float]
Measured = dict[str, float | NDArray[np.float64]]
"""By metric: one number, or one for each picture, of which the mean is the figure."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, repr=False)
class LatentSet:
    """Some rows of a data file.

    Shape: ``rows`` (n,) in the file, ``fields`` (n, 64, 64), ``pictures`` (n, R, R, 3), ``labels`` (n, K)
    int8, ``identity`` (n,), ``teacher`` (n, L, D) offsets of the pictures, ``landmarks`` (n, 68, 2) at 128,
    ``segmentation`` (n, R, R) classes, ``IGNORED`` where there is no label; ``None`` where the file has none.
    """

    rows: NDArray[np.intp]
    fields: NDArray[np.float32]
    pictures: Codes
    labels: NDArray[np.int8]
    identity: NDArray[np.int64]
    teacher: Offsets
    landmarks: NDArray[np.float64] | None
    segmentation: NDArray[np.uint8] | None = None

    @property
    def segmented_rows(self) -> NDArray[np.intp]:
        """Rows with a label at any pixel."""
        if self.segmentation is None:
            return np.arange(0)
        return np.flatnonzero((self.segmentation != IGNORED).any(axis=(1, 2)))


@dataclass(frozen=True, slots=True)
class LatentRow:
    """One figure of one bank; ``beside`` are the same figure of trivial predictors and of the teacher.

    ``interval`` is 95 %, over people. Several banks of one d, trained with several seeds, share a row:
    ``value`` is their mean, ``spread`` from the lowest to the highest, ``interval`` the mean of theirs.
    """

    metric: str
    d: int
    value: float
    unit: str
    beside: Mapping[str, float]
    interval: Interval | None = None
    seeds: int = 1
    spread: float = 0.0

    def share_of_ceiling(self, trivial: str) -> float | None:
        """Part of the way from a trivial predictor to the teacher; ``None`` where one of them is missing."""
        low, high = self.beside.get(trivial), self.beside.get(CEILING)
        if low is None or high is None or high == low:
            return None
        return (self.value - low) / (high - low)


@dataclass(frozen=True)
class LatentTable:
    """Measures banks on ``val``; heads and trivial predictors come from ``train``.

    ``recogniser`` measures faces where there are landmarks, the first ``recognised`` rows of either set;
    without it those figures are left out.
    """

    train: LatentSet = field(repr=False)
    val: LatentSet = field(repr=False)
    decoder: OwnDecoder
    detector: TwoArms
    recogniser: Recogniser | None = None
    recognised: int = 1000
    classes: int = 0

    def rows_of(self, checkpoint: LatentCheckpoint, tell: Tell) -> list[LatentRow]:
        """Every figure of one bank."""
        d, masks = len(checkpoint.patterns), np.array(checkpoint.patterns.masks)
        encoder = encoder_from(checkpoint, f"the checkpoint of d = {d}")
        tell(f"d = {d}: measuring {len(self.train.fields)} + {len(self.val.fields)} scenes")
        train = answers(encoder, masks, self.train.fields, self.detector)[0]
        offsets, logits = answers(encoder, masks, self.val.fields, self.detector)
        tell(f"d = {d}: decoding and comparing")
        cuts = np.array(checkpoint.attributes.thresholds)
        ours: Measured = {**self._attributes(logits, cuts), **self._pictures(self.decoder.pictures(offsets))}
        ours |= {**self._landmarks(train, offsets), **self._segmentation(train, offsets)}
        twin = self.of_pictures(self.train.pictures[_nearest_rows(offsets, train)])
        beside = {**self.trivial, "nearest training face": twin, CEILING: self.ceiling}
        intervals = self._intervals(ours, logits)
        return [
            LatentRow(metric, d, value, UNITS[metric], _of(metric, beside), intervals.get(metric))
            for metric, value in _means(ours).items()
        ]

    def _intervals(self, ours: Measured, logits: Logits) -> dict[str, Interval]:
        """95 % over people of what is a mean over pictures, and of the attributes' AUC."""
        people = self.val.identity
        found = {
            metric: mean_interval(value, people[: len(value)])
            for metric, value in ours.items()
            if isinstance(value, np.ndarray)
        }
        return {**found, "attribute_auc": auc_interval(logits, self.val.labels, people)}

    @cached_property
    def trivial(self) -> dict[str, Figures]:
        """What needs no measurement, by the name of the predictor."""
        labels, points = self.val.labels, self.val.landmarks
        counts = [
            (labels[:, k] > 0).sum() / max(1, (labels[:, k] != 0).sum()) for k in range(labels.shape[1])
        ]
        majority = float(np.mean([max(each, 1 - each) for each in counts]))
        mean = self.train.pictures.mean(axis=0).round().astype(np.uint8)
        found = {
            "chance": {"attribute_auc": 0.5},
            "majority": {"attribute_accuracy": majority},
            "mean face": self.of_pictures(np.broadcast_to(mean, self.val.pictures.shape)),
        }
        if points is not None and self.train.landmarks is not None:
            shape = np.broadcast_to(np.nanmean(self.train.landmarks, axis=0), points.shape)
            found["mean shape"] = {"landmark_nme": float(landmark_rows(shape, points).mean())}
        if self.classes and self.train.segmentation is not None and self.val.segmentation is not None:
            common = modal_map(self.train.segmentation[self.train.segmented_rows], self.classes)
            true = self.val.segmentation[self.val.segmented_rows]
            found["modal map"] = {
                "segmentation_f1": mean_f1(np.broadcast_to(common, true.shape), true, self.classes)
            }
        if self._true_embeddings is not None and self._train_embeddings is not None:
            count = min(len(self._true_embeddings), len(self._train_embeddings))
            pair = (self._train_embeddings[:count], self._true_embeddings[:count])
            found["real to real"] = {"frechet": frechet_distance(*pair)}
        return found

    @cached_property
    def ceiling(self) -> Figures:
        """What the teacher's latents give, which see the whole colour picture."""
        head = fit_head(self.train.teacher, self.train.labels)
        found = self._attributes(head.predict(self.val.teacher), np.zeros(self.val.labels.shape[1]))
        teacher = (self.train.teacher, self.val.teacher)
        rest = {**self._landmarks(*teacher), **self._segmentation(*teacher)}
        return found | _means({**self._pictures(self.decoder.pictures(self.val.teacher)), **rest})

    def memorisation(self) -> Figures | None:
        """How near decoded val faces and samples of the generator come to training faces.

        ``lab.memorisation`` says what is compared. ``None`` without a recogniser.
        """
        val, train, taught = self._true_embeddings, self._train_embeddings, self.train.landmarks
        if train is None or val is None or taught is None:
            return None
        decoded = self._embed(self.decoder.pictures(self.val.teacher), self.val)
        drawn = self.decoder.pictures(sampled_offsets(self.train.teacher, len(val)))
        shape = np.broadcast_to(np.nanmean(taught, axis=0), (len(drawn), *taught.shape[1:]))
        samples = self._embed(drawn, replace(self.val, landmarks=shape))
        own = float(np.median((decoded * val).sum(axis=1)))
        found = memorisation({"decoded val": decoded, "samples": samples}, val, train)
        return found | {"decoded val to its own": own}

    @cached_property
    def _true_embeddings(self) -> NDArray[np.float32] | None:
        return self._embed_where(self.val)

    @cached_property
    def _train_embeddings(self) -> NDArray[np.float32] | None:
        return self._embed_where(self.train)

    def _embed_where(self, rows: LatentSet) -> NDArray[np.float32] | None:
        if self.recogniser is None or rows.landmarks is None:
            return None
        return self._embed(rows.pictures, rows)

    def _embed(self, pictures: Codes, rows: LatentSet) -> NDArray[np.float32]:
        if self.recogniser is None or rows.landmarks is None:
            message = "no recogniser, or rows without landmarks"
            raise ValueError(message)
        most = self.recognised
        return self.recogniser.embeddings(pictures[:most], rows.landmarks[:most])

    def _attributes(self, logits: Logits, cuts: NDArray[np.float64]) -> Figures:
        labels = self.val.labels
        pairs = [known(logits[:, k], labels[:, k]) for k in range(labels.shape[1])]
        right = [
            float(((score >= cut) == truth).mean()) for (score, truth), cut in zip(pairs, cuts, strict=True)
        ]
        return {"attribute_auc": macro_auc(logits, labels), "attribute_accuracy": mean_of_known(right)}

    def of_pictures(self, made: Codes) -> Figures:
        """Figures of pictures (n, R, R, 3) that were made of the scenes of ``val``."""
        return _means(self._pictures(made))

    def of_landmarks(self, train: Offsets, val: Offsets) -> Figures:
        """Error of the landmarks by a linear head on offsets of ``val``, fitted on those of ``train``."""
        return _means(self._landmarks(train, val))

    def _pictures(self, made: Codes) -> Measured:
        true, people = self.val.pictures, self.val.identity
        found: Measured = {"psnr": psnr_rows_db(made, true), "ssim": ssim_rows(made, true)}
        if self._true_embeddings is not None:
            embedded, people = self._embed(made, self.val), people[: self.recognised]
            found["verification_auc"] = verification_rows(embedded, self._true_embeddings, people)
            found["recognition_rate"] = recognition_rate(embedded, self._true_embeddings, people, GALLERY)
            found["frechet"] = frechet_distance(embedded, self._true_embeddings)
        return found

    def _landmarks(self, train: Offsets, val: Offsets) -> Measured:
        """A linear head on the offset, fitted on ``train``."""
        taught, true = self.train.landmarks, self.val.landmarks
        if taught is None or true is None:
            return {}
        head = fit_landmarks(train, taught)
        return {"landmark_nme": landmark_rows(head.predict(val).reshape(true.shape), true)}

    def _segmentation(self, train: Offsets, val: Offsets) -> Figures:
        """A head on the generator's features of the offsets, trained on ``train``."""
        taught, true = self.train.segmentation, self.val.segmentation
        if not self.classes or taught is None or true is None:
            return {}
        rows, shown = self.train.segmented_rows, self.val.segmented_rows
        epochs = segmentation_epochs(len(rows))
        head = train_segmentation(self.decoder, train[rows], taught[rows], self.classes, epochs)
        return {
            "segmentation_f1": mean_f1(segmented(head, self.decoder, val[shown]), true[shown], self.classes)
        }


def _means(measured: Measured) -> Figures:
    return {metric: float(np.mean(value)) for metric, value in measured.items()}


def over_seeds(rows: Sequence[LatentRow]) -> list[LatentRow]:
    """One row for each metric and d, in the order of their first; see :class:`LatentRow`."""
    groups: dict[tuple[str, int], list[LatentRow]] = {}
    for row in rows:
        groups.setdefault((row.metric, row.d), []).append(row)
    return [group[0] if len(group) == 1 else _merged(group) for group in groups.values()]


def _merged(group: list[LatentRow]) -> LatentRow:
    values = [row.value for row in group]
    intervals = [row.interval for row in group if row.interval is not None]
    low_high = np.mean(intervals, axis=0) if intervals else None
    beside = {name: float(np.mean([row.beside[name] for row in group])) for name in group[0].beside}
    return replace(
        group[0],
        value=float(np.mean(values)),
        beside=beside,
        interval=None if low_high is None else (float(low_high[0]), float(low_high[1])),
        seeds=len(group),
        spread=max(values) - min(values),
    )


def _of(metric: str, beside: Mapping[str, Figures]) -> dict[str, float]:
    return {name: figures[metric] for name, figures in beside.items() if metric in figures}


def _nearest_rows(offsets: Offsets, train: Offsets) -> NDArray[np.intp]:
    """The training row whose offset, as the encoder gives it, is nearest to each offset."""
    one, other = offsets.reshape(len(offsets), -1), train.reshape(len(train), -1)
    squares = np.square(other).sum(axis=1)
    parts = np.array_split(one, max(1, len(one) // 256))
    return np.concatenate([(squares - 2 * part @ other.T).argmin(axis=1) for part in parts])
