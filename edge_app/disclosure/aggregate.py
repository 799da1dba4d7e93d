"""``Aggregator``: visits counted in windows, told with noise at fixed times and only when there were enough.

Counts live in memory alone: a window that a stop of the service cuts short is never told. A visit counts
once, in the window in which it ends.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from edge_app.disclosure.discrete_laplace import discrete_laplace
from edge_app.disclosure.privacy_ledger import PrivacyLedger, Spent
from edge_app.disclosure.visits import VisitEvent
from firmware.interfaces import Clock
from lsi.aggregate import LEAST_VISITS, MOST_VISITS
from lsi.errors import AppConfigError, LedgerError
from lsi.units import NS_PER_MS, NS_PER_S

logger = logging.getLogger(__name__)

DEFAULT_WINDOW_S: Final = 900
DEFAULT_EPSILON: Final = Fraction(1)
Noise = Callable[[Fraction], int]


@dataclass(frozen=True, slots=True)
class AggRules:
    """Windows of ``window_s`` seconds; each costs one visit ``epsilon`` in all.

    Raises:
        AppConfigError: A window outside a minute to a day, or an epsilon outside 0.01 to 10 or with more
            than three decimals.
    """

    window_s: int = DEFAULT_WINDOW_S
    epsilon: Fraction = DEFAULT_EPSILON

    def __post_init__(self) -> None:
        if not 60 <= self.window_s <= 86_400:  # noqa: PLR2004 - a minute to a day
            raise AppConfigError(f"A window of {self.window_s} s.", hint="agg.window_s from 60 to 86400.")
        if not Fraction(1, 100) <= self.epsilon <= 10 or (self.epsilon * 1000).denominator != 1:  # noqa: PLR2004
            found = f"An epsilon of {float(self.epsilon)}."
            raise AppConfigError(found, hint="agg.epsilon from 0.01 to 10, three decimals at most.")


@dataclass(frozen=True, slots=True)
class Window:
    """Noisy counts of one window; ``None`` where there were too few visits. Nothing else is kept of it."""

    visits: int | None
    yes: dict[str, int] | None


class Aggregator:
    """Counts visits and tells windows. Not safe for two threads at once.

    Args:
        rules: How long windows are and what they cost.
        names: The attributes that are counted, all of them in every window.
        ledger: Where cost is written before a window is told; ``None`` where there is none that can be
            trusted: then nothing is told.
        clock: Monotonic time; windows begin with it, whatever happens in them.
        noise: Draws noise for a decay; replaced in tests.
    """

    def __init__(
        self,
        rules: AggRules,
        names: Collection[str],
        ledger: PrivacyLedger | None,
        *,
        clock: Clock,
        noise: Noise = discrete_laplace,
    ) -> None:
        self._rules = rules
        self._names = sorted(names)
        self._ledger = ledger
        self._clock = clock
        self._noise = noise
        self._window_ns = rules.window_s * NS_PER_S
        self._end_ns = clock.now_ns() + self._window_ns
        self._visits = 0
        self._yes: Counter[str] = Counter()
        self._is_stuck = ledger is None

    @property
    def sensitivity(self) -> int:
        """How many numbers one visit can change by 1: that of visits, and one for each attribute."""
        return 1 + len(self._names)

    @property
    def is_stuck(self) -> bool:
        """Whether the last window was not told because the ledger would not take it."""
        return self._is_stuck

    @property
    def spent(self) -> Spent:
        """What is on the ledger; nothing where it cannot be trusted."""
        return Spent() if self._ledger is None else self._ledger.spent

    def count(self, event: VisitEvent) -> None:
        """Take in an event of a visit; only its end counts."""
        if not event.is_end:
            return
        self._visits += 1
        self._yes.update(name for name in self._names if event.attributes.get(name) is True)

    def due(self) -> Window | None:
        """The window that is over, if one is: to be told now, whatever it holds."""
        now_ns = self._clock.now_ns()
        if now_ns < self._end_ns:
            return None
        end_ns = self._end_ns
        # Where nobody asked for longer than a window, the windows in between are none.
        self._end_ns += self._window_ns * (1 + (now_ns - end_ns) // self._window_ns)
        visits, yes = self._visits, self._yes
        self._visits, self._yes = 0, Counter()
        return self._noisy(visits, yes) if self._spend(end_ns) else None

    def _spend(self, end_ns: int) -> bool:
        was_stuck, self._is_stuck = self._is_stuck, True
        if self._ledger is None:
            return False
        try:
            self._ledger.spend(self._rules.epsilon, self._rules.window_s * 1000, end_ns // NS_PER_MS)
        except LedgerError as error:
            if not was_stuck:
                logger.warning("A window is not told: %s Try: %s", error.found, error.hint)
            return False
        self._is_stuck = False
        return True

    def _noisy(self, visits: int, yes: Counter[str]) -> Window:
        decay = self._rules.epsilon / self.sensitivity
        noisy_visits = visits + self._noise(decay)
        noisy_yes = {name: _bounded(yes[name] + self._noise(decay)) for name in self._names}
        if noisy_visits < LEAST_VISITS:
            return Window(None, None)
        return Window(_bounded(noisy_visits), noisy_yes)


def _bounded(count: int) -> int:
    """Changes made to what is noisy already cost nothing."""
    return min(max(count, 0), MOST_VISITS)
