"""What the session needs of its surroundings: a board's hardware, or a simulation of it."""


class Line:
    """The way to the host."""

    def write(self, data: bytes | memoryview) -> None:
        """Send all of ``data``."""
        raise NotImplementedError


class Capture:
    """A ring of 32-bit words, filled without the processor.

    ``ring`` holds ``ring_words`` little-endian words; word n of a pass lies at n modulo
    ``ring_words``. ``clock_hz`` is the system clock that timing is counted in.
    """

    clock_hz: int = 0
    ring_words: int = 0
    ring: bytearray | memoryview = bytearray()

    def answers(self) -> bool:
        """Reset the converter; whether it answered."""
        raise NotImplementedError

    def start(self, divider: int, guard_loops: int, samples: int, masks: int) -> None:
        """Wait for edges from now on, until ``masks`` exposures are sampled. Counts start at 0."""
        raise NotImplementedError

    def written_words(self) -> int:
        """Words of this pass so far."""
        raise NotImplementedError

    def edges(self) -> int:
        """Rising edges of the trigger in this pass, sampled or not."""
        raise NotImplementedError

    def stalled(self) -> bool:
        """Whether a word was lost on its way into the ring."""
        raise NotImplementedError

    def now_us(self) -> int:
        """A clock that may wrap; only for :meth:`elapsed_us`."""
        raise NotImplementedError

    def elapsed_us(self, since_us: int) -> int:
        """Time since a reading of :meth:`now_us`."""
        raise NotImplementedError

    def stop(self) -> None:
        """No more sampling; ring and counts stay."""
        raise NotImplementedError


class RegisterPort:
    """The converter's register protocol, before sampling."""

    def exchange(self, word: int) -> int:
        """Shift a 16-bit word both ways, CS low meanwhile."""
        raise NotImplementedError

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait."""
        raise NotImplementedError
