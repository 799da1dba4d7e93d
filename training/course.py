"""A training run in legs: progress, a state after every leg of finite losses, a stop at one that is not."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from lsi.errors import TrainingError

LEG: Final = 100
"""Steps between two looks at the losses; the first is short, so that an estimate comes soon."""
FIRST_LEG: Final = 5
WARM_UP: Final = 100
"""Most steps in which the rate rises; a tenth of a short run."""
DECAY_FROM: Final = 0.6
"""Part of the run after which the rate falls, to a tenth."""
SMALLEST_RATE: Final = 0.1

Progress = Callable[[str], None]
Save = Callable[[dict[str, Any]], None]


class Course(Protocol):
    """What can be trained step by step and go on from a state."""

    step: int
    steps: int

    @property
    def rows_per_step(self) -> int:
        """Pictures or scenes that one step sees."""
        ...

    def run_leg(self, most: int) -> dict[str, float]:
        """Up to ``most`` steps; the mean of each loss.

        Raises:
            TrainingError: A loss is no longer a number.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        ...


def run_course(
    course: Course, progress: Progress, save: Save, clock_s: Callable[[], float] = time.monotonic
) -> None:
    """Run a course to its end; ``save`` gets its state after every leg whose losses are numbers.

    Raises:
        TrainingError: A loss is no longer a number; what was saved last is good.
    """
    leg = FIRST_LEG
    while course.step < course.steps:
        began_s, first = clock_s(), course.step
        losses = course.run_leg(leg)
        per_step_s = (clock_s() - began_s) / (course.step - first)
        progress(_line(course, losses, per_step_s))
        save(course.state())
        leg = LEG


def finite_means(seen: Sequence[dict[str, Tensor]], step: int, rate: float) -> dict[str, float]:
    """The mean of each loss over some steps.

    Raises:
        TrainingError: One is no number; says at which step, and to lower the rate.
    """
    names = dict.fromkeys(name for each in seen for name in each)  # some begin within the leg
    values = {name: torch.stack([each[name] for each in seen if name in each]) for name in names}
    means = {name: float(found.mean()) for name, found in values.items()}
    bad = ", ".join(name for name, value in means.items() if not math.isfinite(value))
    if bad:
        found = f"The loss ({bad}) is no longer a number at step {step}."
        hint = f"the same command with a --rate below {rate:g}; it goes on from the last good state."
        raise TrainingError(found, hint=hint)
    return means


def rate_at(step: int, steps: int) -> float:
    """Part of the full rate: rises over the first steps, falls over the last part of the run."""
    rising = min(1.0, (step + 1) / max(1, min(WARM_UP, steps // 10)))
    past = max(0.0, (step / steps - DECAY_FROM) / (1 - DECAY_FROM))
    return rising * (SMALLEST_RATE + (1 - SMALLEST_RATE) * (1 + math.cos(math.pi * past)) / 2)


def _line(course: Course, losses: dict[str, float], per_step_s: float) -> str:
    shown = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
    left_min = (course.steps - course.step) * per_step_s / 60
    speed = course.rows_per_step / max(per_step_s, 1e-9)
    return f"step {course.step}/{course.steps}: {shown} ({speed:.0f} a second, {left_min:.0f} min left)"
