"""What each kind of observer sees of a scan: the payload as sent, and what never leaves the device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge_app.disclosure.policy import ScanStamp, disclose
from edge_app.inference.tflite_model import TfliteModel
from firmware.boards.board import Board
from lab.audit.people import People
from lab.bench_rig import Answered, chain_answers
from lsi.attributes import ATTR_LITE, AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy
from lsi.errors import DataError
from lsi.payload import AttributePayload
from training.data import DataFile, FaceData
from training.forward_model import Detector, measure

Values = NDArray[np.float64]
Progress = Callable[[int, int], None]

LITE: Final = "attr-lite"
FULL: Final = "attr"
LOGITS: Final = "logits"
MEASUREMENT: Final = "measurement"
SENT: Final = (LITE, FULL)
"""Views that are payloads. The others never leave the device and are attacked for comparison."""
ROWS_AT_ONCE: Final = 512
PROGRESS_ROWS: Final = 250
_ANSWER: Final = {True: 1.0, False: -1.0, None: 0.0}
_STAMP: Final = ScanStamp("audit", "0" * 16, 0, "2026-01-01T00:00:00.000Z", "ntp", "00000000", 0.0, 0.0)
"""The same for every scan: when a message came is known to whoever gets it, whatever it says."""


def view_names(bundle: Bundle) -> tuple[str, ...]:
    """The views that a bundle has."""
    names = [LITE] if bundle.allowed & ATTR_LITE else []
    if bundle.allowed - ATTR_LITE:
        names.append(FULL)
    return (*names, LOGITS, MEASUREMENT)


def lite_names(bundle: Bundle) -> tuple[str, ...]:
    """What mode attr-lite lets out of ``bundle``, in the order of its model."""
    return tuple(name for name in bundle.attributes.names if name in bundle.allowed & ATTR_LITE)


def full_names(bundle: Bundle) -> tuple[str, ...]:
    """What mode attr lets out: all that the bundle allows."""
    return tuple(name for name in bundle.attributes.names if name in bundle.allowed)


def lite_payload(logits: AttributeLogits, bundle: Bundle) -> AttributePayload:
    """What the device's own policy lets out in mode attr-lite."""
    return disclose(logits, DisclosurePolicy().narrowed(bundle.allowed), _STAMP)


def lite_vector(payload: AttributePayload, names: Sequence[str]) -> list[float]:
    """Presence and answers of a payload: yes 1, no -1, null 0."""
    return [_ANSWER[payload.face], *(_ANSWER[payload.attributes[name]] for name in names)]


def answers_vector(logits: AttributeLogits, names: Sequence[str]) -> list[float]:
    """Presence and answers of ``names`` as mode attr sends them."""
    face, decided = logits.presence, logits.decisions()
    return [_ANSWER[face], *(_ANSWER[decided[name] if face else None] for name in names)]


def true_vectors(labels: NDArray[np.int8], label_names: Sequence[str], names: Sequence[str]) -> Values:
    """What a perfect device would send: presence and the labels of ``names``. Shape (n, 1 + K)."""
    columns = [list(label_names).index(name) for name in names]
    answers = labels[:, columns].astype(np.float64)
    return np.hstack((np.ones((len(answers), 1)), answers))


def through_the_chain(
    bundle: Bundle, board: Board, data: DataFile, rows: Sequence[int], progress: Progress
) -> tuple[People, NDArray[np.int64]]:
    """The rows as the device sees them: simulated optics, shipping drivers, correction, TFLite.

    Returns:
        The people of the scans that were answered, and their row numbers in ``data``.

    Raises:
        DataError: No scan was answered.
    """
    answered, kept = [], []
    for done, each in enumerate(chain_answers(bundle, board, _fields(data, rows)), start=1):
        if each is not None:
            answered.append(each)
            kept.append(rows[done - 1])
        if done % PROGRESS_ROWS == 0 or done == len(rows):
            progress(done, len(rows))
    if not kept:
        raise DataError("Every scan was dropped: too much or too little light.", hint="--power-nw P")
    chosen = np.array(kept, np.int64)
    return _people(
        bundle, data.identity[chosen], data.attributes[chosen], data.attribute_names, answered
    ), chosen


def through_the_model(bundle: Bundle, board: Board, faces: FaceData, seed: int = 1) -> People:
    """The same sensor without its bytes: the training's forward model and the bundle's TFLite.

    For the people from whom attackers learn, of whom there are many.
    """
    vectors = measured(bundle.patterns.masks, board, faces.luminance, seed)
    model = TfliteModel(bundle)
    answered = [
        Answered(vector, AttributeLogits(model.answer(vector), bundle.attributes)) for vector in vectors
    ]
    return _people(bundle, faces.identity, faces.attributes, faces.names, answered)


def measured(
    masks: NDArray[np.bool_], board: Board, fields: NDArray[np.float32], seed: int
) -> NDArray[np.float32]:
    """Measurements (n, d) of ``fields`` (n, H, W) with the noise of ``board``."""
    detector = Detector(board.sensor, board.plan.samples_per_pattern)
    generator = torch.Generator().manual_seed(seed)
    bank = torch.tensor(masks).float()
    parts = [
        measure(part, bank, detector, torch.full((len(part),), board.sensor.power_nw), generator)
        for part in torch.split(torch.tensor(fields), ROWS_AT_ONCE)
    ]
    vectors: NDArray[np.float32] = torch.cat(parts).numpy()
    return vectors


def _people(
    bundle: Bundle,
    identity: NDArray[np.int64],
    labels: NDArray[np.int8],
    label_names: tuple[str, ...],
    answered: Sequence[Answered],
) -> People:
    lite, full = lite_names(bundle), full_names(bundle)
    columns: dict[str, list[list[float]]] = {name: [] for name in view_names(bundle)}
    for each in answered:
        if LITE in columns:
            columns[LITE].append(lite_vector(lite_payload(each.logits, bundle), lite))
        if FULL in columns:
            columns[FULL].append(answers_vector(each.logits, full))
        columns[LOGITS].append(each.logits.values.tolist())
        columns[MEASUREMENT].append(each.measurement.tolist())
    views = {name: np.array(rows, np.float64).reshape(len(rows), -1) for name, rows in columns.items()}
    return People(identity, labels, label_names, views)


def _fields(data: DataFile, rows: Iterable[int]) -> Iterator[NDArray[np.float32]]:
    return (data.field(row) for row in rows)
