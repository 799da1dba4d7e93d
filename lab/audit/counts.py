"""The attack on the claim of window counts: is their epsilon true?

``NoisyCounts`` is the mechanism under attack, as the device runs it. Nothing here knows how it works.

Ref: Jagielski, Ullman and Oprea, "Auditing differentially private machine learning", NeurIPS 2020 (lower
bounds of epsilon); Clopper and Pearson, Biometrika 1934 (exact intervals of shares).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Released = tuple[int, ...] | None
"""Counts as they leave the device; ``None`` for a window that is suppressed."""
Progress = Callable[[int, int], None]

CONFIDENCE: Final = 0.99


class NoisyCounts(Protocol):
    """An aggregation mechanism."""

    @property
    def epsilon(self) -> float:
        """What is claimed for one visit and one window."""
        ...

    def release(self, counts: Sequence[int], /) -> Released:
        """What leaves the device for true ``counts``: visits first, then yes per attribute."""
        ...


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two windows that differ in one visit."""

    name: str
    without: tuple[int, ...]
    with_visit: tuple[int, ...]


def neighbours(attributes: int, suppressed_below: int) -> list[Neighbours]:
    """A busy window, and one at the edge of suppression; the visit has every attribute, or none."""
    found = []
    for name, visits in (("busy", 4 * suppressed_below), ("edge", suppressed_below - 1)):
        half = visits // 2
        without = (visits, *[half] * attributes)
        for kind, step in (("all", 1), ("none", 0)):
            with_visit = (visits + 1, *[half + step] * attributes)
            found.append(Neighbours(f"{name}, {kind}", without, with_visit))
    return found


def epsilon_bound(
    mechanism: NoisyCounts, pair: Neighbours, rounds: int, confidence: float = CONFIDENCE
) -> float:
    """A lower bound of the true epsilon at ``confidence``, at least 0.

    The first half of ``rounds`` releases of each window chooses the event that tells them apart best, the
    second half counts it.
    """
    worlds = [
        _statistics([mechanism.release(counts) for _ in range(rounds)], pair)
        for counts in (pair.without, pair.with_visit)
    ]
    half = rounds // 2
    events = _best_events(worlds[0][:half], worlds[1][:half])
    # Two bounds in each of two directions share the error that is allowed.
    error = (1 - confidence) / (2 * len(events))
    bounds = []
    for (statistic, cut, upward), (likely, rare) in zip(events, ((1, 0), (0, 1)), strict=True):
        seen = [_happened(worlds[world][half:, statistic], cut, upward=upward) for world in (likely, rare)]
        low = clopper_pearson(int(seen[0].sum()), len(seen[0]), error)[0]
        high = clopper_pearson(int(seen[1].sum()), len(seen[1]), error)[1]
        bounds.append(math.log(low / high) if low > 0 else 0.0)
    return max(0.0, *bounds)


def clopper_pearson(hits: int, trials: int, error: float) -> tuple[float, float]:
    """Lower and upper bound of a share, each of them wrong with probability ``error`` at most."""
    # scipy is an extra's.
    from scipy.special import betaincinv  # noqa: PLC0415

    low = float(betaincinv(hits, trials - hits + 1, error)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - error)) if hits < trials else 1.0
    return low, high


def _statistics(released: Sequence[Released], pair: Neighbours) -> Values:
    """Numbers (n, 3) in which a visit shows: nearer to which window, sum of the counts, suppressed or not."""
    rows = []
    for row in released:
        if row is None:
            rows.append((math.nan, math.nan, 1.0))
            continue
        pairs = list(zip(row, pair.without, pair.with_visit, strict=True))
        nearer = sum(abs(seen - without) - abs(seen - with_visit) for seen, without, with_visit in pairs)
        rows.append((float(nearer), float(sum(row)), 0.0))
    return np.array(rows)


def _happened(statistic: Values, cut: float, *, upward: bool) -> NDArray[np.bool_]:
    """Where the event is seen; a suppressed window has no number and never shows it."""
    happened: NDArray[np.bool_] = statistic >= cut if upward else statistic <= cut
    return happened


def _best_events(without: Values, with_visit: Values) -> list[tuple[int, float, bool]]:
    """Statistic, cut and direction that tell the worlds apart best, once for either as the likely one."""
    found = []
    for likely, rare in ((with_visit, without), (without, with_visit)):
        best, event = -math.inf, (0, 0.0, True)
        for statistic in range(likely.shape[1]):
            values = np.concatenate((likely[:, statistic], rare[:, statistic]))
            for cut in np.unique(values[~np.isnan(values)]):
                for upward in (True, False):
                    shares = [
                        float(_happened(world[:, statistic], cut, upward=upward).mean())
                        for world in (likely, rare)
                    ]
                    gain = _cautious(shares[0], shares[1], len(likely))
                    if gain > best:
                        best, event = gain, (statistic, float(cut), upward)
        found.append(event)
    return found


def _cautious(likely: float, rare: float, rounds: int) -> float:
    """Log ratio of two shares, each three standard errors to the safe side."""
    low = likely - 3 * math.sqrt(likely * (1 - likely) / rounds) - 1 / rounds
    high = rare + 3 * math.sqrt(rare * (1 - rare) / rounds) + 1 / rounds
    return math.log(low / high) if low > 0 else -math.inf
