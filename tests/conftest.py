"""Rules for every test: no thread is left behind, and what needs a broker says so."""

import logging
import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from lab.broker import LoopbackBroker, find_mosquitto, loopback_broker
from lab.bundles import shipped_bundle
from lab.signed_copy import SignedCopy, signed_copy
from tests.digits_domain import DigitsDomain, digits_domain

if TYPE_CHECKING:
    from tests.browser import Browser

# How fast a machine is decides no test.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    assert left == []


@pytest.fixture(autouse=True)
def _logging_is_as_it_was() -> Iterator[None]:
    """A command sets up logging for its whole process, which here is that of many tests."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)


@pytest.fixture(scope="session")
def mosquitto_path() -> str:
    """Debian's broker; without it the test is skipped with what to install."""
    path = find_mosquitto()
    if path is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return path


@pytest.fixture(scope="session")
def mosquitto(mosquitto_path: str) -> Iterator[LoopbackBroker]:
    """Debian's broker on loopback, one for the whole run: retained messages stay."""
    with loopback_broker(mosquitto_path) as broker:
        yield broker


@pytest.fixture
def fresh_mosquitto(mosquitto_path: str) -> Iterator[LoopbackBroker]:
    """Debian's broker on loopback, for one test, without any retained message."""
    with loopback_broker(mosquitto_path) as broker:
        yield broker


@pytest.fixture(scope="session")
def minisign_path() -> str:
    """Debian's minisign; without it the test is skipped with what to install."""
    path = shutil.which("minisign")
    if path is None:
        pytest.skip("minisign is not installed (apt install minisign)")
    return path


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> SignedCopy:
    """The shipped bundle, signed with a key of this run."""
    return signed_copy(shipped_bundle(), tmp_path_factory.mktemp("signed"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DigitsDomain:
    """The second domain with a small generator, trained once for the whole run."""
    return digits_domain(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """Headless Chromium, one for a file of tests; without it the test is skipped with what to install."""
    from tests.browser import chromium  # noqa: PLC0415 - some runs have no selenium

    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started
