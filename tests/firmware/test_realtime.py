"""The hygiene of the scanning thread, tried for real in a process of its own."""

import gc
import os
import resource
import subprocess
import sys
import textwrap

import pytest

from firmware.realtime import realtime_thread, without_collector

TRIED = """
    import os, sys, threading
    from firmware.realtime import realtime_thread
    before = os.sched_getscheduler(0)
    with realtime_thread(7):
        mine = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        other = []
        thread = threading.Thread(target=lambda: other.append(os.sched_getscheduler(0)))
        thread.start(); thread.join()
        locked = "VmLck:\\t       0 kB" not in open("/proc/self/status").read()
    after = os.sched_getscheduler(0)
    print(before, mine, other[0], after, locked)
"""


def test_the_calling_thread_alone_gets_a_fixed_priority_and_gives_it_back() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TRIED)], capture_output=True, text=True, check=True
    )
    before, mine, other, after, locked = run.stdout.split()
    assert before == other == after == str(os.SCHED_OTHER)
    # Where the system permits neither, both are said and nothing else happens.
    assert mine == str(os.SCHED_FIFO) or "LimitRTPRIO=7" in run.stderr
    assert locked == "True" or "LimitMEMLOCK" in run.stderr


def test_what_is_not_permitted_is_a_warning_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    with realtime_thread():
        pass
    assert "LimitRTPRIO=20" in caplog.text
    assert "LimitMEMLOCK=infinity" in caplog.text


def test_no_collector_runs_inside_and_it_is_on_again_afterwards() -> None:
    seen = []

    def fails() -> None:
        with without_collector():
            seen.append(gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == [False]
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
