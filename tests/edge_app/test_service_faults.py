"""Every fault of the rig, as the running service meets it: a scan is dropped, health names the part."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.service import Parts, Service
from firmware.acquisition.coproc_scan import CoprocAcquisition
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import find_board
from firmware.drivers.dlpc900_codes import Command
from firmware.factory import open_rig
from firmware.rig import Rig
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.coproc_chip import SimCoproc
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import LightSequence
from firmware.sim.spi import FLOATING, SimSpi
from firmware.sim.trigger import SimTriggerLine
from lsi.bundle import Bundle, parse_bundle
from lsi.errors import BusError, BusErrorKind, EgressError
from lsi.patterns import PatternSet
from lsi.payload import AttributePayload
from lsi.problems import Problem
from lsi.status import HealthPayload
from lsi.topics import Kind
from tests.bundles import small_bundle
from tests.edge_app.test_service import BLACK, BRIGHT, CONFIG, GLARE, Bench, FixedEncoder, RecordingPublisher


@dataclass
class FarEnds:
    """What is behind the wires of a simulated rig."""

    rig: Rig

    @property
    def controller(self) -> SimDlpc900:
        link = self.rig.parts.modulator._controller._link  # type: ignore[attr-defined] # the driver's own
        assert isinstance(link._hid, SimDlpc900)
        return link._hid

    @property
    def trigger(self) -> SimTriggerLine:
        acquisition = self.rig.parts.acquisition
        assert isinstance(acquisition, SteppedAcquisition)
        assert isinstance(acquisition.trigger, SimTriggerLine)
        return acquisition.trigger

    @property
    def spi(self) -> SimSpi:
        assert isinstance(self.rig.spi, SimSpi)
        return self.rig.spi

    @property
    def chip(self) -> Ad738xChip:
        assert isinstance(self.spi._chip, Ad738xChip)
        return self.spi._chip

    @property
    def coproc(self) -> SimCoproc:
        acquisition = self.rig.parts.acquisition
        assert isinstance(acquisition, CoprocAcquisition)
        port = acquisition.coproc._link._port
        assert isinstance(port, SimCoproc)
        return port


Act = Callable[[FarEnds], None]


def nothing(_: FarEnds) -> None:
    """No repair is needed: the fault happens once."""


def refuse(code: int) -> Act:
    return lambda far: far.controller.faults.refuse.update({Command.START_STOP: code})


def accept(far: FarEnds) -> None:
    far.controller.faults.refuse.clear()


def set_fault(name: str, after: int) -> Act:
    return lambda far: setattr(far.controller.faults, name, after)


def cut_line(far: FarEnds) -> None:
    far.spi._shift = lambda sent: b"\xff" * len(sent)  # type: ignore[method-assign] # the wire is cut


def mend_line(far: FarEnds) -> None:
    del far.spi._shift  # the method of the class again


def shorten(far: FarEnds) -> None:
    def run(words: object, received: object) -> None:
        del words, received
        raise BusError("A message moved 3 of 48 bytes.", kind=BusErrorKind.FRAME)

    far.spi.run = run  # type: ignore[method-assign] # the kernel moves too few bytes


def lengthen(far: FarEnds) -> None:
    del far.spi.run  # the method of the class again


def abort_at_the_third_mask(far: FarEnds) -> None:
    advance, calls = far.trigger.advance, iter(range(1000))

    def aborting(timeout_ns: int) -> int:
        if next(calls) == 2:
            far.controller.abort_sequencer()
        return advance(timeout_ns)

    far.trigger.advance = aborting  # type: ignore[method-assign] # the sequencer ends in mid-pass


def bounce(far: FarEnds) -> None:
    far.trigger.stray_edges = 1


def stick(level: int | None) -> Act:
    return lambda far: setattr(far.chip.line, "stuck_at", level)


def capture_fault(name: str, value: bool) -> Act:
    return lambda far: setattr(far.coproc.capture, name, value)


def silence(far: FarEnds) -> None:
    """Its supply failed, and the converter did not come back with it."""
    far.coproc.capture.silent = True
    far.coproc.restart()


def reset_in_mid_scan(far: FarEnds) -> None:
    read, calls = far.coproc.read, iter(range(10_000))

    def restarting(timeout_ms: int) -> bytes:
        if next(calls) == 2:
            far.coproc.restart()
        return read(timeout_ms)

    far.coproc.read = restarting  # type: ignore[method-assign] # the reset comes between two reads


def plug(value: bool) -> Act:
    return lambda far: setattr(far.coproc, "unplugged", value)


def noise(far: FarEnds) -> None:
    """A seeded flip in every 40 bytes of the line: hardly a frame comes through whole."""
    random, read = np.random.default_rng(5), far.coproc.read

    def noisy(timeout_ms: int) -> bytes:
        received = bytearray(read(timeout_ms))
        for place in random.integers(0, max(len(received), 1), 1 + len(received) // 40):
            if received:
                received[int(place)] ^= 0x10
        return bytes(received)

    far.coproc.read = noisy  # type: ignore[method-assign] # noise on the line


def quiet(far: FarEnds) -> None:
    del far.coproc.read  # the method of the class again


STEPPED, STREAM, COPROC = "sim-mcp3208", "sim-ad7383-4", "sim-coproc"


def on_controller(action: Callable[[SimDlpc900], None]) -> Act:
    return lambda far: action(far.controller)


FAULTS: list[tuple[str, str, Act, Act, Problem]] = [
    (
        "controller unplugged",
        STEPPED,
        on_controller(SimDlpc900.unplug),
        on_controller(SimDlpc900.plug_in),
        Problem.CONTROLLER,
    ),
    (
        "controller unplugged in mid-scan",
        STEPPED,
        set_fault("unplug", 3),
        on_controller(SimDlpc900.plug_in),
        Problem.CONTROLLER,
    ),
    ("NACK", STEPPED, refuse(5), accept, Problem.CONTROLLER),
    ("lost reply", STEPPED, set_fault("lose_reply", 2), nothing, Problem.CONTROLLER),
    ("sequencer abort", STEPPED, abort_at_the_third_mask, nothing, Problem.CONTROLLER),
    ("masks lost after a reset", STEPPED, on_controller(SimDlpc900.reset), nothing, Problem.CONTROLLER),
    ("converter line floating", STEPPED, cut_line, mend_line, Problem.CONVERTER),
    ("short SPI transfer", STEPPED, shorten, lengthen, Problem.CONVERTER),
    ("trigger bounce", STEPPED, bounce, nothing, Problem.MASK_MISSING),
    ("missing edge", STEPPED, set_fault("ignore_trigger", 3), nothing, Problem.MASK_MISSING),
    ("converter stuck at 0", STREAM, stick(0), stick(None), Problem.CONVERTER),
    ("converter line floating, stream", STREAM, stick(FLOATING), stick(None), Problem.CONVERTER),
    (
        "masks lost after a reset, stream",
        STREAM,
        on_controller(SimDlpc900.reset),
        nothing,
        Problem.CONTROLLER,
    ),
    ("co-processor reset in mid-scan", COPROC, reset_in_mid_scan, quiet, Problem.COPROCESSOR),
    ("co-processor unplugged", COPROC, plug(True), plug(False), Problem.COPROCESSOR),
    (
        "co-processor's converter silent",
        COPROC,
        silence,
        capture_fault("silent", False),
        Problem.CONVERTER,
    ),
    (
        "samples lost",
        COPROC,
        capture_fault("losing", True),
        capture_fault("losing", False),
        Problem.COPROCESSOR,
    ),
    ("noise on the serial line", COPROC, noise, quiet, Problem.COPROCESSOR),
]


def bundle_over_the_field() -> Bundle:
    """The small bundle with masks as large as the field: those of 8 x 8 would get little of its light."""
    bundle = parse_bundle(small_bundle(), "small")
    masks = bundle.patterns.masks.repeat(8, axis=1).repeat(8, axis=2)
    return replace(bundle, patterns=PatternSet(masks))


def serve(board: str, scenes: Iterable[NDArray[np.float32]], rigs: list[Rig]) -> RecordingPublisher:
    bundle, publisher = bundle_over_the_field(), RecordingPublisher()
    with open_rig(find_board(board), LightSequence(scenes)) as rig:
        rigs.append(rig)
        parts = Parts(rig, bundle, FixedEncoder(bundle), publisher)
        Service(replace(CONFIG, board=board), parts).run(threading.Event())
    return publisher


def run_with(board: str, break_it: Act, mend_it: Act) -> RecordingPublisher:
    """Three scans of a bright field; the fault comes before the second one and is gone before the third."""
    rigs: list[Rig] = []

    def scenes() -> Iterator[NDArray[np.float32]]:
        yield BRIGHT
        break_it(FarEnds(rigs[0]))
        yield BRIGHT
        mend_it(FarEnds(rigs[0]))
        yield BRIGHT
        yield BRIGHT

    return serve(board, scenes(), rigs)


def sequence_numbers(publisher: RecordingPublisher) -> list[int]:
    return [AttributePayload.decode(payload).seq for payload in publisher.of(Kind.ATTR)]


def problems(publisher: RecordingPublisher) -> list[set[Problem]]:
    return [set(HealthPayload.decode(payload).problems) for payload in publisher.of(Kind.HEALTH)]


@pytest.mark.parametrize(
    ("board", "break_it", "mend_it", "problem"),
    [case[1:] for case in FAULTS],
    ids=[case[0] for case in FAULTS],
)
def test_a_fault_costs_its_scan_is_named_and_is_recovered_from(
    board: str, break_it: Act, mend_it: Act, problem: Problem
) -> None:
    publisher = run_with(board, break_it, mend_it)
    numbers = sequence_numbers(publisher)
    assert numbers[0] == 1
    assert 2 not in numbers
    assert numbers[-1] == 4
    assert {problem} in problems(publisher)
    assert problems(publisher)[-1] == set()


@pytest.mark.parametrize("board", [STEPPED, STREAM, COPROC])
@pytest.mark.parametrize(("scene", "problem"), [(GLARE, Problem.SATURATED), (BLACK, Problem.LOW_LIGHT)])
def test_light_that_is_too_bright_or_off_is_named_in_every_mode(
    board: str, scene: NDArray[np.float32], problem: Problem
) -> None:
    publisher = serve(board, [BRIGHT, scene, BRIGHT], [])
    assert sequence_numbers(publisher) == [1, 3]
    assert {problem} in problems(publisher)
    assert problems(publisher)[-1] == set()


@pytest.mark.parametrize("where", ["publish", "record", "serve"])
def test_a_message_that_may_not_leave_ends_the_service_and_everything_is_closed(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench([BRIGHT] * 20)

    def stopped(*_: object) -> bool:
        raise EgressError("A message was stopped.")

    monkeypatch.setattr(bench.publisher, where, stopped)
    with pytest.raises(EgressError):
        bench.run()
    assert bench.publisher.closed
