"""py-spidev, our adapter and the shipping driver against simulated chips, through umockdev."""

import json
from dataclasses import dataclass

import pytest

from tests.umockdev import spi_nodes as nodes
from tests.umockdev.chips import AD7383_4_COUNTS, CONSTANT_COUNTS
from tests.umockdev.conftest import SpiNodes

MAX = 511


@dataclass(frozen=True)
class Runs:
    """What the program ``message`` found."""

    first: list[int]
    second: list[int]
    same_buffer: bool
    peak_bytes: int


@dataclass(frozen=True)
class Failure:
    """A call, and what has to be told about its failure."""

    node: str
    call: tuple[str, ...]
    kind: str
    found: str
    hint: str


def runs(spi_nodes: SpiNodes, node: str, *arguments: str) -> Runs:
    return Runs(**json.loads(spi_nodes.run("message", node, *arguments)))


def patterns(spi_nodes: SpiNodes, node: str, *arguments: str) -> list[list[list[int]]]:
    counts: list[list[list[int]]] = json.loads(spi_nodes.run("patterns", node, *arguments))
    return counts


@pytest.mark.parametrize("mode", [0, 3])
def test_mode_bits_and_speed_reach_the_kernel(spi_nodes: SpiNodes, mode: int) -> None:
    found = json.loads(spi_nodes.run("settings", nodes.STEADY, str(mode)))
    assert found == {"mode": mode, "bits": 8, "speed_hz": 1_000_000}


@pytest.mark.parametrize(("sent", "channel"), [("060000", 0), ("06c000", 3), ("07c000", 7)])
def test_a_single_frame_is_one_conversion(spi_nodes: SpiNodes, sent: str, channel: int) -> None:
    received = int(json.loads(spi_nodes.run("frame", nodes.STEADY, sent)), 16)
    assert received & 0x1FFF == CONSTANT_COUNTS[channel]


def test_the_longest_message_selects_the_chip_for_every_word_and_allocates_nothing(
    spi_nodes: SpiNodes,
) -> None:
    found = runs(spi_nodes, nodes.COUNTING, str(MAX))
    start = found.first[0]
    assert found.first == list(range(start, start + MAX))
    assert found.second == list(range(start + MAX, start + 2 * MAX))
    assert found.same_buffer
    assert found.peak_bytes < MAX


def test_the_shipping_driver_reads_both_arms_of_a_pass(spi_nodes: SpiNodes) -> None:
    plus, minus = CONSTANT_COUNTS[0], CONSTANT_COUNTS[1]
    assert patterns(spi_nodes, nodes.STEADY, "01", "3", "8") == [[[plus] * 8, [minus] * 8]] * 3


def test_the_shipping_driver_reads_a_b_b_a(spi_nodes: SpiNodes) -> None:
    counts = patterns(spi_nodes, nodes.COUNTING, "01", "1", "4")
    first = counts[0][0][0]
    assert counts == [[[first + index for index in arm] for arm in ([0, 3, 4, 7], [1, 2, 5, 6])]]


def test_a_pattern_of_more_conversions_than_a_message_holds_is_several(spi_nodes: SpiNodes) -> None:
    counts = patterns(spi_nodes, nodes.COUNTING, "0", "1", "600")
    first = counts[0][0][0]
    assert counts == [[list(range(first, first + 600))]]


@pytest.mark.parametrize(
    "failure",
    [
        Failure(nodes.SHORT, ("message", "4"), "frame", "moved 9 of 12 bytes", "dmesg"),
        Failure(nodes.SHORT, ("patterns", "01", "1", "8"), "frame", "moved 45 of 48 bytes", "dmesg"),
        Failure(nodes.TIMED_OUT, ("frame", "060000"), "timeout", "Connection timed out", "kernel"),
        Failure(nodes.TIMED_OUT, ("message", "4"), "timeout", "Connection timed out", "kernel"),
        Failure(nodes.UNBOUND, ("patterns", "01", "1", "8"), "no_device", "Cannot send", "reboot"),
        Failure(nodes.STUCK_MODE, ("settings", "3"), "refused", "mode 0x3 but mode 0x0", "0 to 3"),
        Failure(nodes.ARM64, ("message", "33"), "refused", "Message too long", "spidev.bufsiz=65536"),
        Failure(nodes.ARM64, ("message", "33", "128"), "refused", "4224 bytes", "spidev.bufsiz=8192"),
        Failure("spidev9.9", ("frame", "060000"), "no_device", "No such file", "dtparam=spi=on"),
    ],
    ids=lambda failure: f"{failure.node}-{failure.call[0]}-{failure.kind}",
)
def test_each_failure_of_the_bus_says_what_it_is_and_what_to_try(
    spi_nodes: SpiNodes, failure: Failure
) -> None:
    program, *arguments = failure.call
    error = json.loads(spi_nodes.run(program, failure.node, *arguments))
    assert error["kind"] == failure.kind
    assert failure.found in error["found"]
    assert f"/dev/{failure.node}" in error["found"]
    assert failure.hint in error["hint"]


def test_the_default_buffer_of_a_64_bit_arm_holds_32_words(spi_nodes: SpiNodes) -> None:
    assert runs(spi_nodes, nodes.ARM64, "32", "128").first == [CONSTANT_COUNTS[0]] * 32


def test_the_shipping_drivers_of_an_ad7383_4_read_arms_and_a_whole_stream_block(spi_nodes: SpiNodes) -> None:
    found = json.loads(spi_nodes.run("ad7383_4", nodes.AD7383_4, "2", "5"))
    assert found["arms"] == [[[counts] * 5 for counts in AD7383_4_COUNTS[:2]]] * 2
    assert found["block"] == [list(AD7383_4_COUNTS)] * (MAX - 1)
