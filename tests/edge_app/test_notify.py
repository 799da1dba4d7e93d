import logging
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.notify import MAX_STATUS, Notifier, Watchdog, watchdog_for, watchdog_us
from firmware.sim.clock import SimClock
from lsi.units import NS_PER_S

TIMEOUT_NS = 30 * NS_PER_S


class SystemdEnd:
    """The other end of ``NOTIFY_SOCKET``: a datagram socket, by path or by abstract name."""

    def __init__(self, address: str) -> None:
        self.named = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self._socket.setblocking(False)

    def received(self) -> list[bytes]:
        """The datagrams that came since the last call."""
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(4096))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SystemdEnd]:
    end = SystemdEnd(str(tmp_path / "n") if request.param == "path" else f"@lsi-{uuid.uuid4().hex}")
    yield end
    end.close()


@pytest.fixture
def notifier(systemd: SystemdEnd) -> Iterator[Notifier]:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": systemd.named})
    yield notifier
    notifier.close()


def test_every_message_is_one_datagram_of_assignments(systemd: SystemdEnd, notifier: Notifier) -> None:
    assert notifier.is_heard
    notifier.ready("Measures.")
    notifier.ready()
    notifier.status("The broker is away.")
    notifier.alive()
    notifier.set_timeout(40_000_000)
    notifier.stopping("Stops.")
    notifier.stopping()
    assert systemd.received() == [
        b"READY=1\nSTATUS=Measures.\n",
        b"READY=1\n",
        b"STATUS=The broker is away.\n",
        b"WATCHDOG=1\n",
        b"WATCHDOG_USEC=40000000\n",
        b"STOPPING=1\nSTATUS=Stops.\n",
        b"STOPPING=1\n",
    ]


def test_a_status_cannot_smuggle_an_assignment_and_stays_short(
    systemd: SystemdEnd, notifier: Notifier
) -> None:
    notifier.status("fine\nWATCHDOG=1\r\n" + "x" * 1000)
    (datagram,) = systemd.received()
    assert datagram.startswith(b"STATUS=fine WATCHDOG=1 xxx")
    assert datagram.count(b"\n") == 1
    assert len(datagram) == len("STATUS=") + MAX_STATUS + 1


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_socket_nobody_is_told(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environ)
    assert not notifier.is_heard
    notifier.ready()
    notifier.close()


def test_a_systemd_that_is_gone_is_logged_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(str(tmp_path / "gone"))
    notifier.ready()
    notifier.alive()
    notifier.close()
    notifier.alive()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_systemd_that_does_not_read_delays_nothing(systemd: SystemdEnd, notifier: Notifier) -> None:
    for _ in range(2_000):  # more than a queue of datagrams holds; blocking, this would hang
        notifier.alive()
    assert 0 < len(systemd.received()) < 2_000
    notifier.alive()
    assert systemd.received() == [b"WATCHDOG=1\n"]


class Bench:
    """A watchdog on simulated time with a way out that can be cut."""

    def __init__(self, systemd: SystemdEnd, notifier: Notifier) -> None:
        self.clock = SimClock()
        self.way_out = True
        self.systemd = systemd
        self.watchdog = Watchdog(notifier, self.clock, TIMEOUT_NS, lambda: self.way_out)

    def after(self, seconds: float) -> None:
        self.clock.wait_until_ns(self.clock.now_ns() + round(seconds * NS_PER_S))

    def fed(self) -> int:
        datagrams = self.systemd.received()
        assert set(datagrams) <= {b"WATCHDOG=1\n"}
        return len(datagrams)


@pytest.fixture
def bench(systemd: SystemdEnd, notifier: Notifier) -> Bench:
    return Bench(systemd, notifier)


class TestWatchdog:
    def test_is_fed_once_per_half_timeout_however_many_scans_are_made(self, bench: Bench) -> None:
        for _ in range(600):
            bench.after(0.1)
            bench.watchdog.captured()
            bench.watchdog.inferred()
        assert bench.fed() == 4  # in 60 s with a timeout of 30 s

    def test_time_alone_feeds_nothing(self, bench: Bench) -> None:
        bench.after(1_000)
        assert bench.fed() == 0

    def test_captures_without_inference_do_not_feed(self, bench: Bench) -> None:
        bench.after(20)
        bench.watchdog.captured()
        assert bench.fed() == 0
        assert bench.watchdog.lacks_inference
        bench.watchdog.inferred()
        assert bench.fed() == 1
        assert not bench.watchdog.lacks_inference

    def test_inferences_without_capture_do_not_feed(self, bench: Bench) -> None:
        bench.after(20)
        bench.watchdog.inferred()
        assert bench.fed() == 0
        assert not bench.watchdog.lacks_inference

    def test_work_of_before_the_last_feeding_does_not_count_again(self, bench: Bench) -> None:
        bench.after(20)
        bench.watchdog.captured()
        bench.watchdog.inferred()
        assert bench.fed() == 1
        bench.after(20)
        bench.watchdog.inferred()
        assert bench.fed() == 0
        bench.watchdog.captured()
        assert bench.fed() == 1

    def test_a_dead_way_out_starves_it_until_work_is_finished_with_a_live_one(self, bench: Bench) -> None:
        bench.way_out = False
        bench.after(20)
        bench.watchdog.captured()
        bench.watchdog.inferred()
        assert bench.fed() == 0
        bench.way_out = True
        assert bench.fed() == 0
        bench.watchdog.captured()
        assert bench.fed() == 1

    def test_a_paused_sensor_is_fed_by_its_loop(self, bench: Bench) -> None:
        bench.after(20)
        bench.watchdog.rested()
        assert bench.fed() == 1
        bench.way_out = False
        bench.after(20)
        bench.watchdog.rested()
        assert bench.fed() == 0

    def test_a_refused_scan_lacks_an_inference_only_when_a_feeding_is_due(self, bench: Bench) -> None:
        bench.watchdog.captured()
        assert not bench.watchdog.lacks_inference
        bench.after(15)
        assert bench.watchdog.lacks_inference

    def test_without_a_timeout_nothing_is_sent(self, systemd: SystemdEnd, notifier: Notifier) -> None:
        clock = SimClock()
        watchdog = Watchdog(notifier, clock, None, lambda: True)
        clock.wait_until_ns(100 * NS_PER_S)
        watchdog.captured()
        watchdog.inferred()
        assert watchdog.interval_ns is None
        assert systemd.received() == []


@pytest.mark.parametrize("scan_interval_s", [0.0, 1.0, 7.5, 60.0, 86_400.0])
def test_no_legal_scan_interval_starves_a_sensor_that_works(
    systemd: SystemdEnd, notifier: Notifier, scan_interval_s: float
) -> None:
    clock = SimClock()
    watchdog = watchdog_for(
        {"WATCHDOG_USEC": "30000000"},
        notifier,
        clock,
        scan_interval_s=scan_interval_s,
        way_out_is_alive=lambda: True,
    )
    timeout_ns = TIMEOUT_NS
    for datagram in systemd.received():
        timeout_ns = int(datagram.removeprefix(b"WATCHDOG_USEC=")) * 1_000
    fed_ns = 0
    for scan in range(1, 100):
        clock.wait_until_ns(scan * max(NS_PER_S, round(scan_interval_s * NS_PER_S)))
        watchdog.captured()
        watchdog.inferred()
        if systemd.received():
            assert clock.now_ns() - fed_ns < timeout_ns
            fed_ns = clock.now_ns()
        assert clock.now_ns() - fed_ns < timeout_ns


def test_the_unit_s_timeout_is_kept_where_it_suffices(systemd: SystemdEnd, notifier: Notifier) -> None:
    environ = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    watchdog = watchdog_for(environ, notifier, SimClock(), scan_interval_s=1.0, way_out_is_alive=lambda: True)
    assert systemd.received() == []
    assert watchdog.interval_ns == 15 * NS_PER_S


@pytest.mark.parametrize(
    ("environ", "expected_us"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),  # a digit that is not ASCII
    ],
)
def test_the_timeout_is_read_only_where_it_is_meant_for_this_process(
    environ: dict[str, str], expected_us: int | None
) -> None:
    assert watchdog_us(environ) == expected_us
