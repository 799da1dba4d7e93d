"""``HidrawDevice`` with the real hidapi against nodes of umockdev; over a real kernel in ``tests/guest``."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.buses.hidraw_device import HidrawDevice
from lsi.errors import BusError, BusErrorKind
from tests.firmware.buses import hidraw_nodes as nodes

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = "apt install umockdev gir1.2-umockdev-1.0 python3-gi"


@dataclass
class Bench:
    """Takes steps with a device before the simulated nodes, in a process of its own."""

    wrapper: str
    folder: str

    def take(self, product_id: int, *steps: str, serial_number: str = "") -> list[dict[str, str]]:
        program = [sys.executable, "-m", "tests.firmware.buses.hidraw_steps"]
        result = subprocess.run(
            [self.wrapper, *program, f"{product_id:04x}", serial_number, *steps],
            env={**os.environ, "UMOCKDEV_DIR": self.folder},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        results: list[dict[str, str]] = json.loads(result.stdout)
        return results


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    wrapper = shutil.which("umockdev-wrapper")
    if wrapper is None:
        pytest.skip(f"umockdev is not installed ({PACKAGES})")
    pytest.importorskip("hidraw", reason="hidapi is not installed (pip install 'lsi-edge[pi]')")
    server = subprocess.Popen(
        [wrapper, sys.executable, "-m", "tests.firmware.buses.hidraw_nodes"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        assert server.stdin is not None
        folder = server.stdout.readline().strip()
        if not folder and server.wait(timeout=30) == nodes.NO_GI:
            pytest.skip(f"PyGObject of this Python does not see umockdev ({PACKAGES})")
        assert folder, "the server did not start"
        yield Bench(wrapper, folder)
        server.stdin.close()
        assert server.wait(timeout=30) == 0


def report(number: int) -> str:
    return bytes([0xC0, number]).ljust(64, b"\x55").hex()


def test_reports_of_64_bytes_go_out_with_a_report_id_and_come_back_in_order(bench: Bench) -> None:
    results = bench.take(nodes.GOOD, "write", "write", "read", "read")
    assert results[3:] == [{"read": report(0)}, {"read": report(1)}]


def test_without_a_report_a_read_gives_nothing_waiting_or_not(bench: Bench) -> None:
    assert bench.take(nodes.DEAF, "write", "read", "poll")[2:] == [{"read": ""}, {"read": ""}]


def test_of_two_devices_none_is_taken_unless_its_serial_number_is_named(bench: Bench) -> None:
    (refused,) = bench.take(nodes.SAME)
    assert refused["kind"] == "refused"
    assert "2 devices" in refused["found"]
    assert "'X1', 'X2'" in refused["found"]
    assert bench.take(nodes.SAME, "write", "read", serial_number="X2")[2] == {"read": report(0)}


def test_a_serial_number_that_is_not_there_names_those_that_are(bench: Bench) -> None:
    (absent,) = bench.take(nodes.GOOD, serial_number="Z9")
    assert absent["kind"] == "no_device"
    assert "'Z9'; there is 'A1'" in absent["found"]


def test_a_device_that_leaves_costs_one_error_and_is_opened_again(bench: Bench) -> None:
    before = nodes.LEAVES_AFTER
    results = bench.take(nodes.LEAVING, *["write"] * before, "write", "read", "write", "read")
    left, forgotten, again, answer = results[before + 1 :]
    assert left["kind"] == "no_device"
    assert "unplugged or has restarted" in left["found"]
    assert forgotten == {"read": ""}
    assert again == {"read": ""}
    assert answer == {"read": report(before + 2)}


@pytest.mark.parametrize(
    ("product_id", "found"), [(nodes.BROKEN, "Broken pipe"), (nodes.PARTIAL, "30 of 65 bytes")]
)
def test_a_report_that_is_not_taken_is_an_error_but_no_unplug(
    bench: Bench, product_id: int, found: str
) -> None:
    for failed in bench.take(product_id, "write", "write")[1:]:
        assert failed["kind"] == "other"
        assert found in failed["found"]


def test_a_transfer_that_fails_while_the_node_goes_is_an_unplug(bench: Bench) -> None:
    assert bench.take(nodes.VANISHING, "write")[1]["kind"] == "no_device"


def test_a_short_report_is_no_report(bench: Bench) -> None:
    assert bench.take(nodes.SHORT, "read")[1]["found"] == "An input report of 4 bytes."


def test_a_closed_device_is_opened_by_its_next_use(bench: Bench) -> None:
    results = bench.take(nodes.GOOD, "close", "close", "read", "close", "write", "read")
    assert results[3:] == [{"read": ""}, {"read": ""}, {"read": ""}, {"read": report(4)}]


def test_without_a_device_the_cable_is_named() -> None:
    with pytest.raises(BusError, match="ffff:fffe is not connected") as caught:
        HidrawDevice(0xFFFF, 0xFFFE)
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert "USB cable" in caught.value.hint


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hidraw", None)
    with pytest.raises(BusError, match=r"lsi-edge\[pi\]"):
        HidrawDevice()
