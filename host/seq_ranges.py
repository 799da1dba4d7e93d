"""``SeqRanges``: which numbers of a stream are there, as few ranges however many numbers."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class SeqRange(NamedTuple):
    """From ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many records it holds."""
        return self.last - self.first + 1


class SeqRanges:
    """A set of whole numbers, kept as disjoint ranges that do not touch, ascending.

    Args:
        ranges: What it holds at first, in any order.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __contains__(self, seq: int) -> bool:
        place = bisect_right(self._firsts, seq) - 1
        return place >= 0 and seq <= self._lasts[place]

    def __iter__(self) -> Iterator[SeqRange]:
        return map(SeqRange, list(self._firsts), list(self._lasts))

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self._firsts)

    @property
    def highest(self) -> int:
        """The highest number; 0 of none."""
        return self._lasts[-1] if self._lasts else 0

    def add(self, first: int, last: int | None = None) -> None:
        """Add ``first`` to ``last``, or one number.

        Raises:
            ValueError: ``last`` comes before ``first``.
        """
        last = first if last is None else last
        if last < first:
            message = f"a range from {first} to {last}"
            raise ValueError(message)
        left = bisect_left(self._lasts, first - 1)  # the first range that touches or comes after
        right = bisect_right(self._firsts, last + 1)  # the first one beyond
        if left < right:
            first, last = min(first, self._firsts[left]), max(last, self._lasts[right - 1])
        self._firsts[left:right] = [first]
        self._lasts[left:right] = [last]

    def remove(self, first: int, last: int | None = None) -> None:
        """Take ``first`` to ``last``, or one number, out; what is not there is no error."""
        last = first if last is None else last
        touched = [held for held in self if held.first <= last and held.last >= first]
        left = bisect_left(self._lasts, first)
        rest = [(held.first, first - 1) for held in touched if held.first < first]
        rest += [(last + 1, held.last) for held in touched if held.last > last]
        self._firsts[left : left + len(touched)] = [part[0] for part in rest]
        self._lasts[left : left + len(touched)] = [part[1] for part in rest]

    def missing(self, first: int, last: int) -> Iterator[SeqRange]:
        """What of ``first`` to ``last`` is not there, ascending."""
        expected = first
        for held in self:
            if held.first > last:
                break
            if held.first > expected:
                yield SeqRange(expected, held.first - 1)
            expected = max(expected, held.last + 1)
        if expected <= last:
            yield SeqRange(expected, last)
