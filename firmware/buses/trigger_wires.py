"""The two GPIO lines to a DMD controller: which they are, and what is said when they fail."""

from dataclasses import dataclass
from typing import Final

from lsi.errors import BusError, BusErrorKind, TriggerTimeoutError
from lsi.units import NS_PER_US

HEADER_CHIPS: Final = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chip behind the 40-pin header: Pi 5; Pi 4 and 400; Pi Zero 2 W and older.

By label, not by number: the header of a Pi 5 is gpiochip4 on early kernels, gpiochip0 later (U).
"""
ADVANCE_PULSE_NS: Final = 20 * NS_PER_US
"""Width of an advance pulse.

As wide as the controller's own pulse on TRIG_OUT_2 (TI E2E 980889). Whether TRIG_IN_1
takes a narrower one was found in no source (U); it must end before the exposure begins,
105 us after its edge, or a pulse could outlast the mask before it.
"""


@dataclass(frozen=True, slots=True)
class TriggerWires:
    """BCM numbers of two lines of one chip.

    Attributes:
        advance_gpio: Output, to TRIG_IN_1.
        exposure_gpio: Input, from TRIG_OUT_2; a pulse when an exposure starts.
        chips: Labels that the chip may have; the first that exists is taken.
        pulse_ns: Least width of an advance pulse.
    """

    advance_gpio: int
    exposure_gpio: int
    chips: tuple[str, ...] = HEADER_CHIPS
    pulse_ns: int = ADVANCE_PULSE_NS


def no_exposure(timeout_ns: int) -> TriggerTimeoutError:
    """Nothing came back on the exposure line."""
    found = f"No exposure within {timeout_ns // NS_PER_US} us of a trigger pulse."
    return TriggerTimeoutError(found, hint="check the wires to TRIG_IN_1 and TRIG_OUT_2.")


def no_chip(wires: TriggerWires, seen: list[str], denied: list[str]) -> BusError:
    """No chip has one of the labels; ``seen`` are the labels there, ``denied`` unreadable nodes."""
    if denied:
        return gpio_denied(", ".join(denied))
    found = f"No GPIO chip is labelled {' or '.join(wires.chips)}; found {', '.join(seen) or 'none'}."
    hint = "`gpiodetect` lists the labels; name the right one in the board file."
    return BusError(found, kind=BusErrorKind.NO_DEVICE, hint=hint)


def gpio_denied(node: str) -> BusError:
    """A chip that this user may not open."""
    hint = "sudo usermod -aG gpio $USER, then log in again; `ls -l /dev/gpiochip*` must name that group."
    return BusError(f"{node} may not be opened by this user.", kind=BusErrorKind.PERMISSION, hint=hint)


def gpio_busy(gpio: int, holder: str) -> BusError:
    """A line that somebody else holds."""
    found = f"GPIO {gpio} is in use by {holder or 'another program or driver'}."
    hint = "end that program, remove that overlay, or name another GPIO in the board file."
    return BusError(found, kind=BusErrorKind.REFUSED, hint=hint)


def gpio_gone(what: str, error: Exception) -> BusError:
    """A line that was requested but does not work any more."""
    hint = "close other programs that use the pins, then start again."
    return BusError(f"GPIO: {what}: {error}.", kind=BusErrorKind.OTHER, hint=hint)
