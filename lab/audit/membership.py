"""The attack by membership: who of M people was in a window of counts?

Ref: Maurer and Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009, theorem 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.counts import CONFIDENCE, NoisyCounts, Progress, Released, Values

PROGRESS_ROWS: Final = 10_000
NOISE_DRAWS: Final = 300


@dataclass(frozen=True, slots=True, repr=False)
class Crowd:
    """Who may be in a window, and what an attacker expects of them.

    Shape: ``shown`` (M, K), 0 or 1, what each of M people answers in the window; ``expected`` (M, K), 0..1,
    what the attacker takes for that. ``visits`` people pass per window.
    """

    shown: NDArray[np.int64]
    expected: Values
    visits: int

    def __post_init__(self) -> None:
        if self.shown.shape != self.expected.shape or self.visits < 1:
            message = f"answers {self.shown.shape}, expected {self.expected.shape}, {self.visits} visits"
            raise ValueError(message)

    def alike(self) -> NDArray[np.intp]:
        """People who answer the same carry the same number. Shape (M,)."""
        return _numbered(self.shown)

    def most_told(self) -> float:
        """The largest chance at which any window can name the right person; see :func:`right_chances`."""
        shown, expected = self.alike(), _numbered(self.expected)
        together = np.zeros((expected.max() + 1, shown.max() + 1))
        np.add.at(together, (expected, shown), 1.0)
        return float((together / together.sum(axis=1, keepdims=True) / together.sum(axis=0)).max())


@dataclass(frozen=True, slots=True)
class Tally:
    """Chances of windows, summed: how many, their sum, the sum of their squares. Tallies add up."""

    windows: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, chances: Values) -> "Tally":
        """Of one chance per window."""
        return cls(len(chances), float(chances.sum()), float((chances**2).sum()))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.windows + other.windows, self.total + other.total, self.squares + other.squares)

    @property
    def rate(self) -> float:
        """Mean chance; 0 of no window."""
        return self.total / max(1, self.windows)

    @property
    def variance(self) -> float:
        """Unbiased; 0 of fewer than two windows."""
        spread = self.squares - self.windows * self.rate**2
        return max(0.0, spread / max(1, self.windows - 1))

    def margin(self, most: float) -> float:
        """How far the true mean may lie above or below, each at half of what ``CONFIDENCE`` leaves.

        No chance can be larger than ``most``.
        """
        if self.windows < 2:  # noqa: PLR2004 - a variance takes two
            return most
        error = math.log(2 / ((1 - CONFIDENCE) / 2))
        by_spread = math.sqrt(2 * self.variance * error / self.windows)
        return by_spread + 7 * most * error / (3 * (self.windows - 1))


def membership(
    mechanism: NoisyCounts, crowd: Crowd, windows: int, progress: Progress, seed: int = 0
) -> dict[str, Any]:
    """Which of M people was in the window? Rate of right guesses with its 99 % interval, beside chance.

    In each window one of the M, drawn at random, is among ``visits`` people; the others come from the same
    population. The attacker knows what to expect of each of the M, the population, the number of visits and
    the spread of the mechanism, and names the likeliest.
    """
    return membership_figures(crowd, tallied(mechanism, crowd, windows, progress, seed))


def tallied(mechanism: NoisyCounts, crowd: Crowd, windows: int, progress: Progress, seed: int = 0) -> Tally:
    """At what chance the one who was there is named, over ``windows``."""
    generator = np.random.default_rng(seed)
    people, tally = len(crowd.shown), Tally()
    guesser = _Guesser.against(mechanism, crowd)
    for start in range(0, windows, PROGRESS_ROWS):
        count = min(PROGRESS_ROWS, windows - start)
        target = generator.integers(0, people, count)
        others = generator.integers(0, people, (count, crowd.visits - 1))
        true = crowd.shown[others].sum(axis=1) + crowd.shown[target]
        released = [mechanism.release((crowd.visits, *row)) for row in true.tolist()]
        tally += Tally.of(right_chances(guesser.likeliest(released), crowd.alike(), target))
        progress(start + count, windows)
    return tally


def right_chances(likeliest: NDArray[np.bool_], alike: NDArray[np.intp], target: NDArray[np.int64]) -> Values:
    """The chance in each window that the right person is named. Shape (windows,).

    Of several who are likeliest one is named by lot. Those who answer what the target does make the same
    window, so their chances are averaged: the mean stays, and far fewer windows settle it.

    Args:
        likeliest: (windows, M).
        alike: (M,), a number for each kind of answers.
        target: (windows,), who was there.
    """
    groups = np.eye(alike.max() + 1)[alike]
    named = (likeliest @ groups)[np.arange(len(target)), alike[target]]
    found: Values = named / likeliest.sum(axis=1) / groups.sum(axis=0)[alike[target]]
    return found


def membership_figures(crowd: Crowd, tally: Tally) -> dict[str, Any]:
    """Rate of right guesses beside chance, with an interval that holds at 99 % for any number of windows."""
    people, margin = len(crowd.shown), tally.margin(crowd.most_told())
    ends = (max(0.0, tally.rate - margin), min(1.0, tally.rate + margin))
    return {
        "people": people,
        "visits": crowd.visits,
        "windows": tally.windows,
        "chance": 1 / people,
        "rate": tally.rate,
        "over_chance": tally.rate * people,
        "over_chance_99": [end * people for end in ends],
    }


@dataclass(frozen=True, slots=True, repr=False)
class _Guesser:
    """Names the likeliest people, all Gaussian: crowd and noise by mean and covariance."""

    expected: Values
    mean: Values
    precision: Values

    @classmethod
    def against(cls, mechanism: NoisyCounts, crowd: Crowd) -> "_Guesser":
        visits, width = crowd.visits, crowd.shown.shape[1]
        # Counts so high that nothing is suppressed or cut off.
        busy = (10 * visits + 200, *[5 * visits + 100] * width)
        drawn = (mechanism.release(busy) for _ in range(NOISE_DRAWS))
        noise = np.array([row for row in drawn if row is not None] or [busy] * 2, np.float64)
        spread = np.cov(noise[:, 1:].T).reshape(width, width)
        people = np.cov(crowd.shown.T).reshape(width, width)
        covariance = spread + (visits - 1) * people + 1e-9 * np.eye(width)
        precision = np.asarray(np.linalg.inv(covariance), np.float64)
        return cls(crowd.expected, (visits - 1) * crowd.shown.mean(axis=0), precision)

    def likeliest(self, released: Sequence[Released]) -> NDArray[np.bool_]:
        """Who may be named in each window (windows, M); everybody where it was suppressed."""
        silent = np.array([row is None for row in released])
        seen = np.array([self.mean if row is None else row[1:] for row in released], np.float64)
        pull = self.expected @ self.precision
        scores = (seen - self.mean) @ pull.T - 0.5 * (pull * self.expected).sum(axis=1)
        scores[silent] = 0.0
        best: NDArray[np.bool_] = scores >= scores.max(axis=1, keepdims=True) - 1e-9
        return best


def _numbered(rows: NDArray[np.int64] | Values) -> NDArray[np.intp]:
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
