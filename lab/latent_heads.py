"""Heads of one frozen bank: measured, fitted, judged on the people of *tune*, kept as a product."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from host.decoder.decoder import OwnDecoder
from host.decoder.heads_file import Heads
from host.decoder.linear_head import LinearHead
from host.decoder.weights import weights_of
from lab.face_networks import FRAME_PX, read_landmarks
from lab.segmentation_labels import Classes
from lsi.errors import DataError
from training.data_sets.data import DataFile
from training.generator.segmentation_head import BATCH, train_segmentation
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_exam import answers, encoder_from
from training.latent.latent_heads import fit_head
from training.light.forward_model import TwoArms

LANDMARK_PENALTY: Final = 0.03
"""Of the ridge for landmarks, in units of one row per training row."""
SEGMENTATION_STEPS: Final = 250
FEWEST_ROWS: Final = 8

Offsets = NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class Bench:
    """A frozen bank, the generator it belongs to and the sensor that measures."""

    checkpoint: LatentCheckpoint
    decoder: OwnDecoder
    detector: TwoArms

    def offsets(self, data: DataFile, rows: NDArray[np.intp]) -> Offsets:
        """What the bank gives for ``rows`` of ``data``: (n, L, D)."""
        masks, fields = np.array(self.checkpoint.patterns.masks), data.faces((), rows).luminance
        return answers(encoder_from(self.checkpoint, "the bank"), masks, fields, self.detector)[0]


def fit_landmarks(offsets: Offsets, points: NDArray[np.float64]) -> LinearHead:
    """Ridge from offsets (n, L, D) to points (n, P, 2)."""
    return fit_head(offsets, points.reshape(len(points), -1), penalty=LANDMARK_PENALTY * len(points))


def segmentation_epochs(rows: int) -> int:
    """Passes over ``rows`` pictures that make about ``SEGMENTATION_STEPS`` steps."""
    return max(1, SEGMENTATION_STEPS * BATCH // rows)


def fitted_heads(
    bench: Bench, data: DataFile, rows: NDArray[np.intp], classes: Classes | None, record: Mapping[str, Any]
) -> Heads:
    """Heads for what ``data`` and ``classes`` have labels of; the bank is not touched.

    Raises:
        DataError: There are labels of nothing, or of too few rows.
    """
    landmarks, segmentation = _landmarks(bench, data, rows), _segmentation(bench, data, classes)
    if landmarks is None and segmentation is None:
        found = f"{data.path.name} has no landmarks and no classes per pixel were named."
        raise DataError(found, hint="data with landmarks, or --segmentation FILE of 'lsi lab segment'.")
    return Heads(
        space=bench.decoder.space.form,
        patterns=bench.checkpoint.patterns.digest,
        landmarks=landmarks,
        frame_px=FRAME_PX,
        segmentation=segmentation,
        classes=() if classes is None else classes.names,
        record=record,
    )


def _landmarks(bench: Bench, data: DataFile, rows: NDArray[np.intp]) -> LinearHead | None:
    marked = read_landmarks(data.path) if data.path.suffix == ".npz" else None
    if marked is None:
        return None
    points, usable = marked
    rows = rows[usable[rows]]
    _check_rows(len(rows), "landmarks")
    return fit_landmarks(bench.offsets(data, rows), points[rows])


def _segmentation(
    bench: Bench, data: DataFile, classes: Classes | None
) -> Mapping[str, NDArray[np.float32]] | None:
    if classes is None:
        return None
    rows = classes.rows[classes.rows < len(data)]
    _check_rows(len(rows), "classes per pixel")
    labels = classes.of(rows, bench.decoder.size_px)
    offsets, epochs = bench.offsets(data, rows), segmentation_epochs(len(rows))
    return weights_of(train_segmentation(bench.decoder, offsets, labels, len(classes.names), epochs))


def _check_rows(rows: int, what: str) -> None:
    if rows < FEWEST_ROWS:
        raise DataError(f"{rows} rows have {what}.", hint=f"{FEWEST_ROWS} or more.")
