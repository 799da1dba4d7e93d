"""How long to wait before the next attempt: doubling, bounded, with jitter."""

import random
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
CONFLICT_FIRST_S: Final = 60.0
CONFLICT_LONGEST_S: Final = 120.0


class Backoff:
    """Delays of 1, 2, 4 ... 60 s, each times a random factor of 0.5 to 1.

    The jitter keeps a fleet from coming back in one instant after a broker restart.

    Args:
        uniform: Like ``random.uniform``; replaced in tests.
        first_s: Upper bound of the first delay.
        longest_s: Upper bound of every delay.
    """

    def __init__(
        self,
        uniform: Callable[[float, float], float] = random.uniform,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._uniform = uniform
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def delay_s(self) -> float:
        """The delay before the next attempt; the one after will be longer."""
        bound_s = self._next_s
        self._next_s = min(2 * bound_s, self._longest_s)
        return self._uniform(bound_s / 2, bound_s)

    def reset(self) -> None:
        """Begin again at the first delay, after an attempt that succeeded."""
        self._next_s = self._first_s


def conflict_backoff(uniform: Callable[[float, float], float] = random.uniform) -> Backoff:
    """Delays of 30 to 120 s, for a client whose id somebody else uses too."""
    return Backoff(uniform, CONFLICT_FIRST_S, CONFLICT_LONGEST_S)
