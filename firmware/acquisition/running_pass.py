"""A pass of the modulator as a context: started, and stopped whatever happens."""

import contextlib
from collections.abc import Iterator

from firmware.blame import Blame
from firmware.interfaces import PatternModulator
from lsi.errors import LsiError, Part

_CONTROLLER = Blame(Part.CONTROLLER)


@contextlib.contextmanager
def running_pass(modulator: PatternModulator) -> Iterator[None]:
    """Start a pass, and stop it afterwards; the first error is the one that is told."""
    with _CONTROLLER:
        modulator.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(LsiError):
            modulator.stop()
        raise
    with _CONTROLLER:
        modulator.stop()
