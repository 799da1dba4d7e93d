"""Training of masks and read-out together, noise of the sensor included."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.attributes.mask_order import order_against_motion, read_out_in_order
from training.attributes.settings import Schedule, Settings
from training.attributes.student import Student, read_out_weights
from training.attributes.targets import mixed_targets
from training.data_sets.batches import SceneSource
from training.data_sets.data import FaceData
from training.light.forward_model import TwoArms
from training.read_outs.read_out import ReadOutWeights

ORDERING_ROWS: Final = 2000
"""Faces that decide the order of the masks."""

Progress = Callable[[str], None]
Save = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, repr=False)
class Trained:
    """The result of :func:`train`, without PyTorch.

    Shape: ``masks`` (d, H, W) bool; ranges as in ``Checkpoint``; ``logit_range``
    (2, K + 1), lowest and highest of each output.
    """

    masks: NDArray[np.bool_]
    read_out: ReadOutWeights
    measurement_range: NDArray[np.float32]
    activation_range: NDArray[np.float32]
    logit_range: NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class Lesson:
    """What is learned from: faces with labels, scenes without a face, the sensor, a teacher's answers.

    Shape: ``soft`` (n, K') float32, probabilities 0..1 of the attributes of ``faces``; ``None`` without
    teacher.
    """

    faces: FaceData
    others: FaceData
    detector: TwoArms
    soft: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.soft is not None and self.soft.shape != self.faces.attributes.shape:
            message = f"soft labels {self.soft.shape} do not fit the labels {self.faces.attributes.shape}"
            raise ValueError(message)

    def targets(self, settings: Settings) -> tuple[Tensor, Tensor]:
        """Labels 0..1 with the teacher's part in them, and which of them count. Shape: (n, K') each."""
        return mixed_targets(self.faces.attributes, self.soft, settings.soft_weight)


def train(lesson: Lesson, schedule: Schedule, settings: Settings, progress: Progress) -> Trained:
    """Train one bank; see :func:`train_together`."""
    return train_together(lesson, schedule, [settings], progress)[0]


def train_together(  # noqa: PLR0913 - two of them are for interruptions only
    lesson: Lesson,
    schedule: Schedule,
    settings: Sequence[Settings],
    progress: Progress,
    *,
    resume: dict[str, Any] | None = None,
    save: Save | None = None,
) -> list[Trained]:
    """Train banks side by side on the same scenes, on CUDA where there is one.

    There is one result per bank and size that it serves, in the order of ``Settings.sizes``.

    ``progress`` gets one line per epoch, ``save`` the whole state; a run that starts from such a state
    (``resume``) ends where the uninterrupted one ends. Same arguments, threads and machine: same result.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with device:
        course = _Course(lesson, schedule, settings)
        if resume is not None:
            course.restore(resume)
        while course.epoch < schedule.epochs:
            began_s = time.monotonic()
            losses = course.run_epoch()
            progress(_line(schedule, course.epoch, losses, time.monotonic() - began_s))
            if save is not None:
                save(course.state())
        return [trained for student in course.students for trained in course.results(student)]


def _line(schedule: Schedule, epoch: int, losses: list[float], took_s: float) -> str:
    shown = ", ".join(f"{loss:.4f}" for loss in losses)
    left_min = (schedule.epochs - epoch) * took_s / 60
    return f"epoch {epoch}/{schedule.epochs}: loss {shown} ({took_s:.1f} s, {left_min:.0f} min left)"


class _Course:
    """State of one run: the scenes and every bank that learns from them."""

    def __init__(self, lesson: Lesson, schedule: Schedule, settings: Sequence[Settings]) -> None:
        self.lesson = lesson
        self.schedule = schedule
        self.generator = torch.Generator(torch.get_default_device()).manual_seed(schedule.seed)
        faces = torch.tensor(lesson.faces.luminance)
        others = torch.tensor(lesson.others.luminance)
        self.scenes = SceneSource(faces, others, schedule.jitter, self.generator)
        self.batches = max(1, len(faces) // schedule.batch)
        self.epoch = 0
        steps = schedule.epochs * self.batches
        self.students = [Student(each, *lesson.targets(each), faces, steps) for each in settings]

    def run_epoch(self) -> list[float]:
        """One pass over the faces; returns the mean loss of each bank."""
        order = torch.randperm(len(self.scenes.faces), generator=self.generator)
        losses = [self._step(self._rows(order, index)) for index in range(self.batches)]
        self.epoch += 1
        return [float(loss) for loss in np.mean(losses, axis=0)]

    def _rows(self, order: Tensor, index: int) -> Tensor:
        return order[index * self.schedule.batch : (index + 1) * self.schedule.batch]

    def _step(self, rows: Tensor) -> list[float]:
        batch = self.scenes.batch(rows, self.schedule.wide, self.schedule.negatives)
        return [student.step(batch, self.lesson.detector) for student in self.students]

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, as it is now."""
        state = {
            "epoch": self.epoch,
            "generator": self.generator.get_state(),
            "students": [student.state() for student in self.students],
        }
        return copy.deepcopy(state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        self.epoch = int(state["epoch"])
        self.generator.set_state(state["generator"])
        for student, kept in zip(self.students, state["students"], strict=True):
            student.restore(kept)

    @torch.no_grad()
    def results(self, student: Student) -> list[Trained]:
        """One per size that the bank serves; the true ranges of all are found over one more pass."""
        seen = self._seen(student)
        return [self._result(student, size, seen) for size in student.settings.sizes]

    def _result(self, student: Student, size: int, seen: NDArray[np.float32]) -> Trained:
        """The first ``size`` masks in the order that suffers least from motion, and their read-out.

        Auxiliary outputs are cut off. ``seen`` (n, d) are measurements with the masks in their trained order.
        """
        labels = student.targets.shape[1]
        kept = [*range(student.settings.attributes), labels]
        masks = student.mask_layer().cpu().numpy()[:size] > 0
        order = order_against_motion(masks, self.lesson.faces.luminance[:ORDERING_ROWS])
        read_out = read_out_in_order(read_out_weights(student.read_out_for(size), kept), order)
        measurements = seen[:, order]
        activations = read_out.activations(measurements)
        lows, highs = [a.min() for a in activations], [a.max() for a in activations]
        return Trained(
            masks=masks[order],
            read_out=read_out,
            measurement_range=np.stack((measurements.min(axis=0), measurements.max(axis=0))),
            activation_range=np.array([lows, highs], np.float32),
            logit_range=np.stack((activations[-1].min(axis=0), activations[-1].max(axis=0))),
        )

    def _seen(self, student: Student) -> NDArray[np.float32]:
        """Measurements (n, d) of one pass over the faces."""
        order = torch.arange(len(self.scenes.faces))
        masks, detector = student.mask_layer(), self.lesson.detector
        batches = (
            self.scenes.batch(self._rows(order, index), self.schedule.wide, self.schedule.negatives)
            for index in range(self.batches)
        )
        parts = [student.measurements(batch.scenes, masks, detector).cpu() for batch in batches]
        seen: NDArray[np.float32] = torch.cat(parts).numpy()
        return seen
