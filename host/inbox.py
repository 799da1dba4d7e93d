"""``Inbox``: what the network thread hands to a coroutine."""

import asyncio
import contextlib
import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """A queue with one reader, in the loop in which it was made. Writers may be in any thread.

    Unlike ``asyncio.Queue`` it wakes the loop once for a burst, not once for every item.

    Args:
        room: Items that ``offer`` may leave waiting.
    """

    def __init__(self, room: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = room
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Add ``item``, whatever waits."""
        with self._lock:
            self._items.append(item)
            is_first = len(self._items) == 1
        if is_first:
            # A loop that has ended has no reader any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._filled.set)

    def offer(self, item: Item) -> None:
        """Add ``item`` where there is room, or count it as dropped."""
        with self._lock:
            is_full = len(self._items) >= self._room
            self.dropped += is_full
        if not is_full:
            self.put(item)

    async def get(self, timeout_s: float | None = None) -> Item | None:
        """The next item, or ``None`` when none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._items:
                    await self._filled.wait()
                    self._filled.clear()
        except TimeoutError:
            return None
        return self._items.popleft()
