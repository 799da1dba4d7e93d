"""A pass of the modulator as a context: started, and stopped whatever happens."""

import contextlib
from collections.abc import Iterator

from firmware.interfaces import PatternModulator
from lsi.errors import LsiError


@contextlib.contextmanager
def running_pass(modulator: PatternModulator) -> Iterator[None]:
    """Start a pass, and stop it afterwards; the first error is the one that is told."""
    modulator.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(LsiError):
            modulator.stop()
        raise
    modulator.stop()
