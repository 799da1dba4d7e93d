"""``Agreement``: one answer that changes only when several of the last scans say so."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from lsi.errors import AppConfigError

MAX_SCANS: Final = 60


@dataclass(frozen=True, slots=True)
class Quorum:
    """``agree`` of the last ``of`` scans decide; more than half, so that two answers never both do.

    With 2 of 3 a single noisy scan changes nothing, and a true change is told with the second
    scan that sees it. 1 of 1 switches debouncing off.

    Raises:
        AppConfigError: Not more than half, or more than ``MAX_SCANS``.
    """

    agree: int = 2
    of: int = 3

    def __post_init__(self) -> None:
        if not (self.of < 2 * self.agree and self.agree <= self.of <= MAX_SCANS):
            found = f"An answer decided by {self.agree} of {self.of} scans."
            raise AppConfigError(found, hint=f"more than half of at most {MAX_SCANS}, for example 2 of 3.")


class Agreement:
    """Yes, no or not known, as a quorum of scans has it.

    Args:
        quorum: How many scans decide.
        decided: The answer until a quorum says otherwise.
    """

    def __init__(self, quorum: Quorum, decided: bool | None) -> None:  # noqa: FBT001 - an answer, not a switch
        self._agree = quorum.agree
        self._votes: deque[bool | None] = deque(maxlen=quorum.of)
        self._decided = decided

    def vote(self, answer: bool | None) -> bool | None:  # noqa: FBT001 - same
        """Take in one scan's answer; returns what is decided now."""
        self._votes.append(answer)
        # Only the answer that just came can have gained a vote.
        if self._votes.count(answer) >= self._agree:
            self._decided = answer
        return self._decided
