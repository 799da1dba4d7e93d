"""Rules for every test: no thread is left behind, and what needs a broker says so."""

import threading
from collections.abc import Iterator

import pytest

from lab.broker import LoopbackBroker, find_mosquitto, loopback_broker


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    assert left == []


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
