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
def mosquitto() -> Iterator[LoopbackBroker]:
    """Debian's broker on loopback, one for the whole run."""
    path = find_mosquitto()
    if path is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    with loopback_broker(path) as broker:
        yield broker
