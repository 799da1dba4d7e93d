import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.link.command_replies import Handler
from edge_app.link.publisher import WayOut
from edge_app.rig.mask_history import MaskHistory
from edge_app.service import Parts, Service
from edge_app.settings.config import AppConfig
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import Board, find_board
from firmware.factory import Rig, open_rig
from firmware.sim.clock import SimClock
from firmware.sim.light import LightSequence
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle, parse_bundle
from lsi.command_documents import Command, command_topic
from lsi.disclosure import DisclosurePolicy
from lsi.errors import DisclosureError, ShapeMismatchError
from lsi.latent import LatentForm, LatentOffset
from lsi.manifest import canonical_json
from lsi.measurement import Measurement
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Kind
from lsi.units import NS_PER_S
from tests.bundles import small_bundle
from transport.broker import BrokerAddress, Message

BOARD = find_board("sim-mcp3208")
BROKER = BrokerAddress("127.0.0.1", 1883, None)
CONFIG = AppConfig("hall1", BOARD.name, Path("b.lsib"), BROKER, DisclosurePolicy(), 0.0, every_scan=True)
BRIGHT = np.full((64, 64), 0.5, np.float32)
GLARE = np.full((64, 64), 9.0, np.float32)
BLACK = np.zeros((64, 64), np.float32)
OFFSET = LatentOffset(np.arange(24).reshape(4, 6).astype(np.float32), LatentForm("small", 4, 6, "ab" * 32))


class RecordingPublisher:
    """``Publisher`` that keeps what would have left; ``online`` says whether a broker is there."""

    def __init__(self) -> None:
        self.sent: list[tuple[Kind, bytes]] = []
        self.online = True
        self.closed = False
        self.records = 0
        self.inbox: list[Message] = []
        self.replies: list[Message] = []
        self.owes_state = False

    def open(self, greeting: Callable[[], Sequence[tuple[Kind, bytes]]]) -> None:
        self.sent += greeting()

    def publish(self, kind: Kind, payload: bytes) -> bool:
        if self.online:
            self.sent.append((kind, payload))
        return self.online

    def record(self, kind: Kind, payload_of: Callable[[int], bytes]) -> None:
        self.records += 1
        self.sent.append((kind, payload_of(self.records)))

    def reply(self, message: Message) -> None:
        self.replies.append(message)

    def received(self) -> Sequence[Message]:
        messages, self.inbox = self.inbox, []
        return messages

    def handlers(self) -> Mapping[Command, Handler]:
        return {}

    def serve(self) -> bool:
        owed, self.owes_state = self.owes_state, False
        return owed

    def way_out(self) -> WayOut:
        return WayOut()

    def close(self) -> None:
        self.closed = True

    def of(self, kind: Kind) -> list[bytes]:
        return [payload for sent, payload in self.sent if sent is kind]


class FixedEncoder:
    """``Encoder`` that sees a smiling face without glasses in everything."""

    def __init__(self, bundle: Bundle) -> None:
        self.schema = bundle.attributes
        self.seen: list[Measurement] = []
        self.logits = np.array([1.5, -0.5, 0.75], np.float32)

    def encode(self, measurement: Measurement) -> AttributeLogits:
        self.seen.append(measurement)
        return AttributeLogits(np.array(self.logits), self.schema)

    def encode_latent(self, measurement: Measurement) -> tuple[AttributeLogits, LatentOffset]:
        return self.encode(measurement), OFFSET


class Bench:
    """A service on the simulated board with a small bundle and given scenes."""

    def __init__(
        self,
        scenes: Iterable[NDArray[np.float32]],
        board: Board = BOARD,
        bundle: bytes | None = None,
        **config: object,
    ) -> None:
        self.bundle = parse_bundle(bundle or small_bundle(), "small")
        self.publisher = RecordingPublisher()
        self.encoder = FixedEncoder(self.bundle)
        self.rig: Rig = open_rig(board, LightSequence(scenes))
        self.config = replace(CONFIG, **config)  # type: ignore[arg-type] # any field
        self.start_again()

    def start_again(self) -> None:
        """A new service of the parts as they are now."""
        self.service = Service(self.config, Parts(self.rig, self.bundle, self.encoder, self.publisher))

    def run(self, scans: int | None = None) -> int:
        with self.rig:
            return self.service.run(threading.Event(), scans)

    @property
    def payloads(self) -> list[AttributePayload]:
        return [AttributePayload.decode(payload) for payload in self.publisher.of(Kind.ATTR)]

    @property
    def health(self) -> list[HealthPayload]:
        return [HealthPayload.decode(payload) for payload in self.publisher.of(Kind.HEALTH)]


def test_every_scan_becomes_one_payload_until_the_light_ends() -> None:
    bench = Bench([BRIGHT] * 3)
    assert bench.run() == 3
    assert [payload.seq for payload in bench.payloads] == [1, 2, 3]
    assert {payload.stream for payload in bench.payloads} == {bench.service.stream}
    assert dict(bench.payloads[0].attributes) == {"Smiling": True, "Eyeglasses": False}
    assert bench.publisher.closed


def test_the_number_of_scans_can_be_limited() -> None:
    assert Bench([BRIGHT] * 5).run(2) == 2


def test_a_stop_ends_the_loop_after_the_scan_in_progress() -> None:
    bench = Bench([BRIGHT] * 5)
    stop = threading.Event()
    stop.set()
    with bench.rig:
        assert bench.service.run(stop) == 1


def test_the_greeting_is_info_then_health_and_info_names_what_may_leave() -> None:
    bench = Bench([BRIGHT])
    bench.run()
    assert [kind for kind, _ in bench.publisher.sent[:2]] == [Kind.INFO, Kind.HEALTH]
    info = InfoPayload.decode(bench.publisher.sent[0][1])
    assert (info.attributes, info.d, info.board, info.simulated) == (
        ("Smiling", "Eyeglasses"),
        3,
        BOARD.name,
        True,
    )
    assert info.bundle_id == bench.bundle.manifest.short_id == bench.payloads[0].bundle


def test_a_narrower_policy_narrows_payload_and_info() -> None:
    bench = Bench([BRIGHT], policy=DisclosurePolicy(frozenset({"Eyeglasses"})))
    bench.run()
    assert set(bench.payloads[0].attributes) == {"Eyeglasses"}
    assert InfoPayload.decode(bench.publisher.sent[0][1]).attributes == ("Eyeglasses",)


def test_a_bundle_may_narrow_the_policy_of_the_device() -> None:
    narrow = small_bundle(policy=canonical_json({"mode": "attr-lite", "attributes": ["Smiling"]}))
    bench = Bench([BRIGHT], bundle=narrow)
    bench.run()
    assert set(bench.payloads[0].attributes) == {"Smiling"}
    assert InfoPayload.decode(bench.publisher.sent[0][1]).attributes == ("Smiling",)


def test_two_starts_never_share_a_stream() -> None:
    assert Bench([]).service.stream != Bench([]).service.stream


@pytest.mark.parametrize(("scene", "problem"), [(GLARE, "saturated"), (BLACK, "low_light")])
def test_a_scan_that_fails_is_dropped_told_once_and_recovered_from(
    scene: NDArray[np.float32], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench([BRIGHT, scene, scene, BRIGHT])
    with caplog.at_level(logging.INFO):
        assert bench.run() == 4
    assert [payload.seq for payload in bench.payloads] == [1, 4]
    told = [sorted(health.problems) for health in bench.health]
    assert [problems for problems in told if problems] == [[problem]]
    assert told[-1] == []
    assert (bench.health[-1].scans, bench.health[-1].scans_failed) == (4, 2)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("Scan 2 was dropped" in warning for warning in warnings) == 1
    assert not any("Scan 3" in warning for warning in warnings)


def test_a_controller_that_loses_its_masks_gets_them_again() -> None:
    def scenes() -> Iterator[NDArray[np.float32]]:
        yield BRIGHT
        acquisition = bench.rig.parts.acquisition
        assert isinstance(acquisition, SteppedAcquisition)
        acquisition.trigger._controller.reset()  # type: ignore[attr-defined] # the simulated line has one
        yield BRIGHT
        yield BRIGHT

    bench = Bench(scenes())
    assert bench.run() == 3
    assert [payload.seq for payload in bench.payloads] == [1, 3]
    assert bench.health[-1].problems == frozenset()


def test_the_next_scan_is_made_while_the_last_one_is_published() -> None:
    second_began = threading.Event()

    def scenes() -> Iterator[NDArray[np.float32]]:
        yield BRIGHT
        second_began.set()
        yield BRIGHT

    class Waiting(RecordingPublisher):
        def publish(self, kind: Kind, payload: bytes) -> bool:
            if kind is Kind.ATTR:
                assert second_began.wait(30)
            return super().publish(kind, payload)

    bench = Bench(scenes())
    bench.publisher = Waiting()
    bench.start_again()
    assert bench.run() == 2
    assert [payload.seq for payload in bench.payloads] == [1, 2]


def test_what_stops_the_publishing_stops_the_service() -> None:
    class RefusingTheFirst(RecordingPublisher):
        def publish(self, kind: Kind, payload: bytes) -> bool:
            if kind is Kind.ATTR and not self.of(Kind.ATTR):
                self.sent.append((kind, payload))
                raise DisclosureError("Not to leave.")
            return super().publish(kind, payload)

    bench = Bench([BRIGHT] * 5)
    bench.publisher = RefusingTheFirst()
    bench.start_again()
    with pytest.raises(DisclosureError, match="Not to leave"):
        bench.run()
    assert len(bench.publisher.of(Kind.ATTR)) == 1
    assert bench.publisher.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lsi-publish")]


def test_health_tells_how_long_mirrors_stood_on_each_side() -> None:
    bench = Bench([BLACK] * 2)
    bench.run()
    assert HealthPayload.decode(bench.publisher.of(Kind.HEALTH)[0]).mirror_duty is None
    duty = bench.health[-1].mirror_duty
    assert duty is not None
    assert 0 < duty[0] <= duty[1] < 1


def test_without_a_broker_the_service_keeps_measuring() -> None:
    bench = Bench([BRIGHT] * 3)
    bench.publisher.online = False
    assert bench.run() == 3
    assert len(bench.encoder.seen) == 3
    assert bench.payloads == []


def test_a_bundle_for_another_kind_of_board_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="provides two-arm; this one provides one-arm"):
        Bench([], replace(BOARD, provides=frozenset({"one-arm"})))


def test_an_unsigned_bundle_is_said_to_be_unsigned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Bench([BRIGHT]).run()
    assert "not signed" in caplog.text


@pytest.mark.parametrize("waiting", ["hold", "dark"])
def test_health_and_payload_survive_both_readings_of_a_waiting_controller(waiting: str) -> None:
    assert BOARD.simulation is not None
    simulation = replace(BOARD.simulation, waiting=waiting)  # type: ignore[arg-type] # a literal
    bench = Bench([BRIGHT], replace(BOARD, simulation=simulation))
    bench.run()
    assert json.loads(bench.publisher.of(Kind.ATTR)[0])["face"] is True


def test_a_pause_makes_no_scan_until_it_is_over() -> None:
    clock = SimClock()

    class Patient(threading.Event):
        """Time passes as soon as somebody waits."""

        def wait(self, timeout: float | None = None) -> bool:
            clock.advance(round((timeout or 0.0) * NS_PER_S))
            return False

    bench = Bench([BRIGHT] * 3)
    pause = Message(command_topic("hall1", Command.PAUSE), b'{"seconds":30}')
    bench.publisher.inbox.append(pause)
    parts = Parts(bench.rig, bench.bundle, bench.encoder, bench.publisher, clock=clock)
    with bench.rig:
        assert Service(bench.config, parts).run(Patient()) == 3
    assert len(bench.publisher.replies) == 1
    assert 30 <= clock.now_ns() / NS_PER_S < 32


def test_info_is_told_again_once_with_the_bound_of_a_frame_and_counts_the_masks(tmp_path: Path) -> None:
    bench = Bench([BRIGHT, BRIGHT * np.float32(0.3), BRIGHT], state=tmp_path)
    bench.rig.on_load = MaskHistory(tmp_path).note
    bench.run()
    infos = [InfoPayload.decode(each) for each in bench.publisher.of(Kind.INFO)]
    assert [info.bits_per_frame is None for info in infos] == [True, False]
    assert infos[1].bits_per_frame is not None
    assert 3 * 8 < infos[1].bits_per_frame < 3 * 20
    assert infos[1].mask_patterns == 3
