import inspect
import re
from pathlib import Path

import lsi.errors
from lsi.errors import BusError, BusErrorKind, ConfigError, LsiError

ROOT = Path(__file__).resolve().parents[2]
ERRORS = [
    item
    for _, item in inspect.getmembers(lsi.errors, inspect.isclass)
    if issubclass(item, LsiError) and item is not LsiError
]
SHARED = {"BoardConfigError", "AppConfigError", "BusError", "FrameError"}
"""Errors that a person mends in the same place as the error whose code they share."""


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [error.exit_code for error in ERRORS if error.__name__ not in SHARED]
    assert len(codes) == len(set(codes))


def test_no_exit_code_means_success_usage_or_a_signal() -> None:
    assert all(3 <= error.exit_code < 64 for error in ERRORS)


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8")
    documented = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)`", page, re.MULTILINE)}
    assert documented == {error.__name__: error.exit_code for error in ERRORS}


def test_a_message_holds_what_was_found_and_what_to_try() -> None:
    error = ConfigError("Key 'x' is unknown.", hint="'y'.")
    assert str(error) == "Key 'x' is unknown. Try: 'y'."
    assert (error.found, error.hint) == ("Key 'x' is unknown.", "'y'.")


def test_leaves_are_caught_as_the_built_in_error_one_would_expect() -> None:
    assert issubclass(ConfigError, ValueError)
    assert isinstance(BusError("gone", kind=BusErrorKind.NO_DEVICE), OSError)
