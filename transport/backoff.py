"""How long to wait before the next attempt: doubling, bounded, with jitter."""

import random
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0


class Backoff:
    """Delays of 1, 2, 4 ... 60 s, each times a random factor of 0.5 to 1.

    The jitter keeps a fleet from coming back in one instant after a broker restart.

    Args:
        uniform: Like ``random.uniform``; replaced in tests.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._next_s = FIRST_S

    def delay_s(self) -> float:
        """The delay before the next attempt; the one after will be longer."""
        bound_s = self._next_s
        self._next_s = min(2 * bound_s, LONGEST_S)
        return self._uniform(bound_s / 2, bound_s)

    def reset(self) -> None:
        """Begin again at 1 s, after an attempt that succeeded."""
        self._next_s = FIRST_S
