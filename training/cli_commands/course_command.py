"""What the commands of long trainings share: how long, where to go on, what is left when one ends early."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsi.errors import TrainingError
from training.cli_commands.attributes_command import SAVE_EVERY_S, now_and_then, print_line
from training.cli_commands.command_parts import check_limits

if TYPE_CHECKING:
    from training.course import Course
    from training.unfinished import Unfinished

Writer = Callable[[], None]
"""Writes the product of a course as it stands now."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``minutes`` after which a run stops, to go on another time; ``is_fresh`` forgets an interrupted one."""

    minutes: float | None
    is_fresh: bool


def add_run(parser: argparse.ArgumentParser, *, epochs: int, batch: int, rate: float) -> None:
    """Add the arguments of a long run, with its defaults."""
    add = parser.add_argument
    add("--epochs", type=int, default=epochs, help="passes over the pictures (default %(default)s)")
    add("--minutes", type=float, metavar="N", help="stop after so long, to go on another time")
    add("--seed", type=int, default=0, help="seed of everything random (default 0)")
    add("--batch", type=int, default=batch, help="pictures per step (default %(default)s)")
    add("--rate", type=float, default=rate, help="learning rate (default %(default)s)")
    add("--threads", type=int, default=2, help="threads of PyTorch (default 2)")
    add("--fresh", action="store_true", help="do not go on with an interrupted run")


def check_run(arguments: argparse.Namespace) -> None:
    """Refuse arguments of :func:`add_run` that cannot be.

    Raises:
        ConfigError: One is out of its range.
    """
    limits: dict[str, tuple[float, float]] = {"epochs": (1, 100_000), "threads": (1, 64), "batch": (1, 4096)}
    check_limits(arguments, limits | {"seed": (0, 2**31 - 1), "rate": (1e-7, 1.0)})
    if arguments.minutes is not None:
        check_limits(arguments, {"minutes": (0, 1e6)})


def device_line(kind: str, threads: int) -> str:
    """Where it runs; without a GPU, what to expect."""
    if kind == "cuda":
        return "training on CUDA"
    return (
        f"no GPU: training on {threads} CPU thread(s); the first line below says how long it will take. "
        "--minutes stops it earlier, a smaller network and fewer --epochs make it shorter."
    )


def run_kept(course: "Course", unfinished: "Unfinished", limits: Limits, write: Writer) -> None:
    """Run a course to its end, or as long as was allowed; what is written is always the last good state.

    Raises:
        TrainingError: A loss is no longer a number.
        DataError: The kept state cannot be used, or the disk is full.
    """
    from training.course import run_course  # noqa: PLC0415 - needs PyTorch

    _resume(course, unfinished, limits)
    keeper = _Keeper(now_and_then(unfinished.save, SAVE_EVERY_S, time.monotonic), limits.minutes)
    try:
        run_course(course, print_line, keeper)
    except (TrainingError, _TimeIsUp, KeyboardInterrupt) as cause:
        if keeper.state is not None:
            course.restore(keeper.state)
            unfinished.save(keeper.state)
            write()
        if not isinstance(cause, _TimeIsUp):
            raise
        print_line(f"time is up after step {course.step} of {course.steps}; the same command goes on")
        return
    write()
    unfinished.remove()


def _resume(course: "Course", unfinished: "Unfinished", limits: Limits) -> None:
    if limits.is_fresh:
        unfinished.remove()
    state = unfinished.load()
    if state is not None:
        course.restore(state)
        print_line(f"going on after step {course.step} ({unfinished.path.name})")


class _TimeIsUp(Exception):  # noqa: N818 - not an error
    """The minutes that were allowed are over."""


class _Keeper:
    """Keeps the last good state in memory and now and then on the disk; ends the run when its time is up."""

    def __init__(self, save: Callable[[dict[str, Any]], None], minutes: float | None) -> None:
        self.state: dict[str, Any] | None = None
        self._save = save
        self._until_s = None if minutes is None else time.monotonic() + 60 * minutes

    def __call__(self, state: dict[str, Any]) -> None:
        self.state = state
        self._save(state)
        if self._until_s is not None and time.monotonic() >= self._until_s:
            raise _TimeIsUp
