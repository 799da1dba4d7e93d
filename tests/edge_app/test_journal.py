import io
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.journal import MAX_REMEMBERED, LogFields, is_journal, priority_of, set_up_logging
from firmware.sim.clock import SimClock
from lsi.units import NS_PER_S

logger = logging.getLogger("edge_app.service")


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class JournalEnd:
    """journald's end of standard error: a stream socket that ``JOURNAL_STREAM`` names."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self.stderr = self._writing.makefile("w", encoding="utf-8")
        status = os.fstat(self._writing.fileno())
        self.environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    def lines(self) -> list[str]:
        self.stderr.flush()
        try:
            return self._reading.recv(1 << 16).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self) -> None:
        self.stderr.close()
        self._writing.close()
        self._reading.close()


@pytest.fixture
def journal() -> Iterator[JournalEnd]:
    end = JournalEnd()
    yield end
    end.close()


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture
def fields(journal: JournalEnd, clock: SimClock) -> LogFields:
    return set_up_logging("DEBUG", journal.environ, journal.stderr, clock)


@pytest.mark.usefixtures("fields")
def test_every_level_has_the_priority_that_the_journal_knows(journal: JournalEnd) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "said")
    assert journal.lines() == [f"<{priority}>edge_app.service: said" for priority in (7, 6, 4, 3, 2)]


def test_levels_between_two_have_the_priority_of_the_lower_one() -> None:
    assert [priority_of(level) for level in (5, 15, 25, 35, 45, 99)] == [7, 7, 6, 4, 3, 2]


def test_device_and_stream_are_told_as_soon_as_they_are_known(journal: JournalEnd, fields: LogFields) -> None:
    logger.info("First.")
    fields.device = "hall1"
    logger.info("Second.")
    fields.stream = "00ff00ff00ff00ff"
    logger.info("Third.")
    assert journal.lines() == [
        "<6>edge_app.service: First.",
        "<6>edge_app.service: Second. device=hall1",
        "<6>edge_app.service: Third. device=hall1 stream=00ff00ff00ff00ff",
    ]


@pytest.mark.usefixtures("fields")
def test_a_traceback_has_the_priority_on_each_of_its_lines(journal: JournalEnd) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("Not foreseen.\nTwice.")
    lines = journal.lines()
    assert lines[0] == "<3>edge_app.service: Not foreseen."
    assert lines[-1] == "<3>ZeroDivisionError: division by zero"
    assert all(line.startswith("<3>") for line in lines)


@pytest.mark.usefixtures("fields")
def test_an_empty_message_keeps_its_priority(journal: JournalEnd) -> None:
    logger.warning("")
    assert journal.lines() == ["<4>edge_app.service: "]


class TestPlain:
    def test_is_for_a_terminal_or_a_pipe(self, clock: SimClock) -> None:
        stderr = io.StringIO()
        set_up_logging("INFO", {"JOURNAL_STREAM": "8:1234"}, stderr, clock).device = "hall1"
        logger.warning("The broker is away.")
        assert stderr.getvalue().endswith(" WARNING edge_app.service: The broker is away. device=hall1\n")
        assert not stderr.getvalue().startswith("<")

    def test_is_for_a_child_that_inherits_only_the_variable(
        self, journal: JournalEnd, tmp_path: Path
    ) -> None:
        with (tmp_path / "log").open("w", encoding="utf-8") as stderr:
            assert not is_journal(journal.environ, stderr)
        assert not is_journal(journal.environ, stderr)  # closed
        assert not is_journal({}, journal.stderr)
        assert is_journal(journal.environ, journal.stderr)

    def test_leaves_out_what_is_below_the_level(self, clock: SimClock) -> None:
        stderr = io.StringIO()
        set_up_logging("WARNING", {}, stderr, clock)
        logger.info("Not asked for.")
        assert stderr.getvalue() == ""


@pytest.mark.usefixtures("fields")
class TestRepeats:
    def test_are_written_once_a_minute_with_their_number(self, journal: JournalEnd, clock: SimClock) -> None:
        for second in range(121):
            clock.wait_until_ns(second * NS_PER_S)
            logger.warning("Scan %d was dropped: too bright.", second)
        said = "<4>edge_app.service: Scan {} was dropped: too bright."
        assert journal.lines() == [
            said.format(0),
            f"{said.format(60)} (59 more in the last 60 s)",
            f"{said.format(120)} (59 more in the last 60 s)",
        ]

    def test_of_another_reason_level_or_logger_are_not_held_back(self, journal: JournalEnd) -> None:
        logger.warning("Scan %d was dropped: %s", 1, "too bright.")
        logger.warning("Scan %d was dropped: %s", 2, "too dark.")
        logger.error("Scan %d was dropped: %s", 3, "too dark.")
        logging.getLogger("transport.mqtt").error("Scan %d was dropped: %s", 4, "too dark.")
        assert len(journal.lines()) == 4

    def test_below_a_warning_are_all_written(self, journal: JournalEnd) -> None:
        for _ in range(5):
            logger.info("Scans work again.")
        assert len(journal.lines()) == 5

    def test_are_remembered_for_a_bounded_number_of_messages(self, journal: JournalEnd) -> None:
        for length in range(MAX_REMEMBERED + 1):
            logger.warning("x" * length)
            assert len(journal.lines()) == 1
        logger.warning("x" * MAX_REMEMBERED)
        assert journal.lines() == []
        logger.warning("")  # forgotten: the longest unheard
        assert len(journal.lines()) == 1


@pytest.mark.usefixtures("fields")
class TestValues:
    def test_of_arrays_scalars_and_bytes_are_never_written(self, journal: JournalEnd) -> None:
        values = np.array([0.123456, 0.5], np.float32)
        logger.info("%s %s %s", values, values[0], b"secret")
        logger.info("%(array)s", {"array": values})
        text = "\n".join(journal.lines())
        assert "<float32 (2,)> <float32> <6 bytes>" in text
        assert "0.12" not in text
        assert "0.5" not in text
        assert "secret" not in text

    def test_that_no_longer_fit_their_template_are_left_out_whole(self, journal: JournalEnd) -> None:
        logger.warning("%.3f", np.float32(0.123456))
        logger.warning("%d of %d", 1)  # noqa: PLE1206 - a mistake on purpose
        assert journal.lines() == [
            "<4>edge_app.service: %.3f (with arguments that are not logged)",
            "<4>edge_app.service: %d of %d (with arguments that are not logged)",
        ]

    def test_that_describe_no_scene_are_written(self, journal: JournalEnd) -> None:
        logger.info("Scan %d: %.1f ms, sent: %s", 3, 12.34, True)
        assert journal.lines() == ["<6>edge_app.service: Scan 3: 12.3 ms, sent: True"]
