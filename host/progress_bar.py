"""How far something is: a bar on a terminal, a few lines elsewhere."""

import threading
from typing import Final, TextIO

WIDTH: Final = 30
STEP_PERCENT: Final = 25


class ProgressBar:
    """One line that is written over and over, or where ``stream`` is no terminal, a line per quarter.

    Safe for several threads; with ``is_shared`` each device gets lines of its own instead of the bar.
    """

    def __init__(self, stream: TextIO, *, is_shared: bool = False) -> None:
        self._stream = stream
        self._has_bar = stream.isatty() and not is_shared
        self._lock = threading.Lock()
        self._said: dict[str, tuple[str, int]] = {}

    def tell(self, label: str, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` of ``what`` is over."""
        percent = 100 * done // max(total, 1)
        with self._lock:
            if self._has_bar:
                filled = WIDTH * percent // 100
                bar = "#" * filled + "." * (WIDTH - filled)
                print(
                    f"\r\033[K{label}  {what:10} [{bar}] {percent:3} %", end="", file=self._stream, flush=True
                )
            elif self._is_news(label, what, percent):
                print(f"{label}: {what}, {percent} %", file=self._stream, flush=True)

    def end(self) -> None:
        """Leave the line."""
        with self._lock:
            if self._has_bar:
                print("\r\033[K", end="", file=self._stream, flush=True)

    def _is_news(self, label: str, what: str, percent: int) -> bool:
        step = percent // STEP_PERCENT
        is_news = self._said.get(label) != (what, step)
        self._said[label] = (what, step)
        return is_news
