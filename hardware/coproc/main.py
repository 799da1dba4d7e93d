"""Runs when the board starts. Press BOOTSEL within two seconds to get MicroPython's prompt instead."""

import time

import rp2

_WAIT_MS = 2000
_LOOK_EVERY_MS = 20


def is_prompt_wanted() -> bool:
    """Whether the button is pressed in time."""
    for _ in range(_WAIT_MS // _LOOK_EVERY_MS):
        if rp2.bootsel_button():
            return True
        time.sleep_ms(_LOOK_EVERY_MS)
    return False


if not is_prompt_wanted():
    from coproc.board import run

    run()
