"""What each kind of observer sees of a scan: the payload as sent, and what never leaves the device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge_app.disclosure.policy import ScanStamp, disclose, in_force
from edge_app.inference.tflite_model import TfliteModel
from firmware.boards.board import Board
from lab.audit.people import People
from lab.bench_rig import Answered, chain_answers
from lsi.attribute_classes import AttributeClasses, built_in_classes
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode, permitted
from lsi.errors import DataError
from training.data_sets.data import DataFile, FaceData
from training.light.forward_model import Detector, measure

Values = NDArray[np.float64]
Progress = Callable[[int, int], None]

LITE: Final = "attr-lite"
FULL: Final = "attr"
LATENT: Final = "latent"
ANSWERS: Final = "answers"
LOGITS: Final = "logits"
MEASUREMENT: Final = "measurement"
SENT: Final = frozenset({LITE, FULL, LATENT})
"""Views that leave the device in a mode. The others never do and are attacked for comparison."""
NAMED: Final = frozenset({LITE, FULL, ANSWERS})
"""Views of yes, no and null about attributes."""
IMAGE_EQUIVALENT: Final = frozenset({LATENT, MEASUREMENT})
"""Views of which a picture can be made; nothing is promised of them."""
ROWS_AT_ONCE: Final = 512
PROGRESS_ROWS: Final = 250
_ANSWER: Final = {True: 1.0, False: -1.0, None: 0.0}
_STAMP: Final = ScanStamp("audit", "0" * 16, 0, "2026-01-01T00:00:00.000Z", "ntp", "00000000", 0.0, 0.0)
"""The same for every scan: when a message came is known to whoever gets it, whatever it says."""


@dataclass(frozen=True, slots=True, repr=False)
class Subject:
    """What is audited: a bundle on a device whose owner uses ``classes`` of attributes."""

    bundle: Bundle
    classes: AttributeClasses = field(default_factory=built_in_classes)

    @property
    def lite(self) -> tuple[str, ...]:
        """What mode attr-lite lets out, in the order of the model."""
        return self._ordered(self.policy(PayloadMode.ATTR_LITE).allowed)

    @property
    def full(self) -> tuple[str, ...]:
        """What mode attr lets out; nothing of a bundle for a narrower mode."""
        policy = self.policy(PayloadMode.ATTR)
        return self._ordered(policy.allowed) if policy.mode is PayloadMode.ATTR else ()

    @property
    def views(self) -> tuple[str, ...]:
        """The views that there are, those that leave first."""
        names = self.bundle.attributes.names
        kinds = {
            LITE: bool(self.lite),
            FULL: bool(self.full),
            LATENT: self.bundle.manifest.latent is not None,
            ANSWERS: not set(names) <= {*self.lite, *self.full},
        }
        return (*(kind for kind, is_there in kinds.items() if is_there), LOGITS, MEASUREMENT)

    def policy(self, mode: PayloadMode) -> DisclosurePolicy:
        """The policy of a device that lets out all that ``mode``, the classes and the bundle allow."""
        named = permitted(self.bundle.allowed, mode, self.classes)
        return in_force(DisclosurePolicy(named, mode, self.classes), self.bundle)

    def named(self, view: str) -> tuple[str, ...]:
        """Attributes that ``view`` names openly."""
        every = self.bundle.attributes.names
        return {LITE: self.lite, FULL: self.full, ANSWERS: every, LOGITS: every}.get(view, ())

    def _ordered(self, allowed: frozenset[str]) -> tuple[str, ...]:
        return tuple(name for name in self.bundle.attributes.names if name in allowed)


@dataclass(frozen=True, slots=True, repr=False)
class Discloser:
    """Payloads of one mode as numbers, by the device's own policy; ``names`` in the order of the columns."""

    policy: DisclosurePolicy
    names: tuple[str, ...]

    @classmethod
    def of(cls, subject: Subject, view: str) -> "Discloser":
        """For the view of a mode that sends attributes."""
        return cls(subject.policy(PayloadMode(view)), subject.named(view))

    def vector(self, logits: AttributeLogits) -> list[float]:
        """Presence and answers of the payload that leaves: yes 1, no -1, null 0."""
        payload = disclose(logits, self.policy, _STAMP)
        return [_ANSWER[payload.face], *(_ANSWER[payload.attributes[name]] for name in self.names)]


def answers_vector(logits: AttributeLogits) -> list[float]:
    """Presence and every answer of the model, which no mode sends."""
    face, decided = logits.presence, logits.decisions()
    return [_ANSWER[face], *(_ANSWER[each if face else None] for each in decided.values())]


def latent_vector(offset: NDArray[np.float32]) -> list[float]:
    """The latent (L, D) as whoever opens its envelope has it, in half precision. Shape (L * D,)."""
    return [float(each) for each in offset.astype("<f2").ravel()]


def true_vectors(labels: NDArray[np.int8], label_names: Sequence[str], names: Sequence[str]) -> Values:
    """What a perfect device would send: presence and the labels of ``names``. Shape (n, 1 + K)."""
    columns = [list(label_names).index(name) for name in names]
    answers = labels[:, columns].astype(np.float64)
    return np.hstack((np.ones((len(answers), 1)), answers))


def through_the_chain(
    subject: Subject, board: Board, data: DataFile, rows: Sequence[int], progress: Progress
) -> tuple[People, NDArray[np.int64]]:
    """The rows as the device sees them: simulated optics, shipping drivers, correction, TFLite.

    Returns:
        The people of the scans that were answered, and their row numbers in ``data``.

    Raises:
        DataError: No scan was answered.
    """
    answered, kept = [], []
    for done, each in enumerate(chain_answers(subject.bundle, board, _fields(data, rows)), start=1):
        if each is not None:
            answered.append(each)
            kept.append(rows[done - 1])
        if done % PROGRESS_ROWS == 0 or done == len(rows):
            progress(done, len(rows))
    if not kept:
        raise DataError("Every scan was dropped: too much or too little light.", hint="--power-nw P")
    chosen = np.array(kept, np.int64)
    return _people(
        subject, data.identity[chosen], data.attributes[chosen], data.attribute_names, answered
    ), chosen


def through_the_model(subject: Subject, board: Board, faces: FaceData, seed: int = 1) -> People:
    """The same sensor without its bytes: the training's forward model and the bundle's TFLite.

    For the people from whom attackers learn, of whom there are many.
    """
    vectors = measured(subject.bundle.patterns.masks, board, faces.luminance, seed)
    model = TfliteModel(subject.bundle)
    answered = [_answered(model, subject.bundle, vector) for vector in vectors]
    return _people(subject, faces.identity, faces.attributes, faces.names, answered)


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


def _answered(model: TfliteModel, bundle: Bundle, vector: NDArray[np.float32]) -> Answered:
    logits = AttributeLogits(model.answer(vector), bundle.attributes)
    return Answered(vector, logits, None if bundle.manifest.latent is None else model.last_offset())


def _people(
    subject: Subject,
    identity: NDArray[np.int64],
    labels: NDArray[np.int8],
    label_names: tuple[str, ...],
    answered: Sequence[Answered],
) -> People:
    views = {
        view: np.array([row(each) for each in answered], np.float64).reshape(len(answered), -1)
        for view, row in _rows_of(subject).items()
    }
    return People(identity, labels, label_names, views)


def _rows_of(subject: Subject) -> dict[str, Callable[[Answered], list[float]]]:
    """What makes the row of each view."""
    known: dict[str, Callable[[Answered], list[float]]] = {
        LATENT: lambda each: latent_vector(each.latent),
        ANSWERS: lambda each: answers_vector(each.logits),
        LOGITS: lambda each: [float(value) for value in each.logits.values],
        MEASUREMENT: lambda each: [float(value) for value in each.measurement],
    }
    for view in {LITE, FULL} & set(subject.views):
        known[view] = _disclosed_by(Discloser.of(subject, view))
    return {view: known[view] for view in subject.views}


def _disclosed_by(discloser: Discloser) -> Callable[[Answered], list[float]]:
    return lambda each: discloser.vector(each.logits)


def _fields(data: DataFile, rows: Iterable[int]) -> Iterator[NDArray[np.float32]]:
    return (data.field(row) for row in rows)
