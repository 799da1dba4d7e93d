"""The device's side of mode ``latent``: keys, envelopes, the outbox, the guard, a broker and the host."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.cli_commands.run_command import _sealed
from edge_app.disclosure.latent_sealer import LatentSealer
from edge_app.disclosure.sealed_latents import SealedLatents, read_device_key, read_host
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import ResultTerms
from edge_app.records.outbox_records import Record, RecordKey
from edge_app.service import Parts, Service
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock
from host.opener import Opener
from lab.broker import LoopbackBroker
from lsi.bundle import parse_bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import AppConfigError, EgressError, KeyFileError, SealError
from lsi.host_keys import write_host_key
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from lsi.topics import Kind
from tests import leaving
from tests.bundles import small_bundle
from tests.edge_app.test_service import BRIGHT, CONFIG, OFFSET, Bench
from tests.edge_app.test_uplink import CLOCK
from tests.sealed import DEVICE_KEY, HOST, OTHER_HOST
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import BrokerAddress, Message

NOON = "2026-01-01T12:00:00.000Z"
VALUES = np.random.default_rng(4).normal(size=(10, 128)).astype(np.float32)
SEALED = SealedLatents(leaving.DEVICE, leaving.STREAM, leaving.BUNDLE, HOST.public_key, DEVICE_KEY)
POLICY = DisclosurePolicy(frozenset(leaving.NAMES), PayloadMode.LATENT)
TERMS = ResultTerms(leaving.STREAM, leaving.BUNDLE, POLICY, frozenset(leaving.NAMES), SEALED)
TOPIC = f"lsi/v1/{leaving.DEVICE}/latent"


def envelope(sealed: SealedLatents = SEALED, seq: int = 3) -> bytes:
    return sealed.record_of(VALUES, NOON, "ntp")(seq)


def stops(payload: bytes, terms: ResultTerms = TERMS) -> bool:
    guard = EgressGuard(leaving.DEVICE, terms)
    with suppress(EgressError):
        guard.check(Message(TOPIC, payload))
    return guard.is_closed


def test_an_envelope_of_this_device_for_its_host_passes_the_guard() -> None:
    assert not stops(envelope())


@pytest.mark.parametrize(
    "other",
    [
        replace(SEALED, device_id="hall2"),
        replace(SEALED, bundle="01234567"),
        replace(SEALED, host=OTHER_HOST.public_key),
        replace(SEALED, key=SecretKey.generate()),
    ],
)
def test_an_envelope_of_anybody_or_for_anybody_else_does_not(other: SealedLatents) -> None:
    assert stops(envelope(other))


@pytest.mark.parametrize(
    "payload", [VALUES.tobytes(), b"", envelope()[:-1], envelope() + b"\0", leaving.attr(), b"[0.1,0.2]"]
)
def test_nothing_that_is_not_sealed_leaves_on_the_latent_topic(payload: bytes) -> None:
    assert stops(payload)


def test_a_sensor_in_another_mode_or_without_keys_sends_no_envelope() -> None:
    assert stops(envelope(), replace(TERMS, sealed=None))
    for mode in (PayloadMode.ATTR, PayloadMode.ATTR_LITE, PayloadMode.AGG):
        assert stops(envelope(), replace(TERMS, policy=DisclosurePolicy(POLICY.allowed, mode)))


def test_a_record_of_an_earlier_start_still_leaves_after_the_host_has_a_new_key() -> None:
    later = replace(SEALED, stream=leaving.EARLIER, host=OTHER_HOST.public_key, bundle="01234567")
    guard = EgressGuard(
        leaving.DEVICE, replace(TERMS, stream=leaving.EARLIER, bundle="01234567", sealed=later)
    )
    record = Record(RecordKey(leaving.STREAM, 3), "latent", TOPIC, b"", 0.0, 60.0, 0, again=False)
    guard.check_record(record, envelope())
    with pytest.raises(EgressError):
        guard.check_record(replace(record, key=RecordKey(leaving.EARLIER, 4)), envelope(later))


@pytest.mark.parametrize(
    "values", [VALUES[0], np.full((2, 2), np.nan, np.float32), np.full((2, 2), 1e6, np.float32)]
)
def test_what_is_no_latent_is_not_sealed(values: np.ndarray) -> None:
    with pytest.raises(SealError):
        SEALED.record_of(values, NOON, "ntp")


def test_nothing_is_sealed_to_a_key_past_its_days_where_the_day_is_known(tmp_path: Path) -> None:
    late = "2026-04-02T00:00:00.000Z"
    with pytest.raises(SealError, match="until 2026-04-01"):
        SEALED.record_of(VALUES, late, "ntp")
    assert SEALED.record_of(VALUES, late, "unsynced")(1)
    _, public = write_host_key(HOST, tmp_path / "host")
    assert read_host(public, None) == read_host(public, dt.date(2026, 4, 1)) == HOST.public_key
    with pytest.raises(KeyFileError, match="lsi keys new"):
        read_host(public, dt.date(2026, 4, 2))


def test_a_device_without_a_key_of_its_own_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="lsi-edge calibrate"):
        read_device_key(tmp_path / "device.key")


class TestStart:
    BUNDLE = parse_bundle(small_bundle(), "small")

    def sealed(self, folder: Path, policy: DisclosurePolicy = POLICY, *, host_key: bool = True) -> object:
        path = folder / "host.pub" if host_key else None
        config = replace(CONFIG, state=folder, host_key=path)
        return _sealed(config, policy, self.BUNDLE, leaving.STREAM)

    def test_mode_latent_needs_the_keys_of_host_and_device(self, tmp_path: Path) -> None:
        with pytest.raises(AppConfigError, match="seals to nobody"):
            self.sealed(tmp_path, host_key=False)
        with pytest.raises(KeyFileError):
            self.sealed(tmp_path)
        write_host_key(HOST, tmp_path / "host")
        write_key_pair(DEVICE_KEY, tmp_path / "device")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edge_app.cli_commands.run_command.utc_if_synced", lambda: None)
            assert isinstance(self.sealed(tmp_path), SealedLatents)

    def test_no_other_mode_seals_whatever_is_configured(self, tmp_path: Path) -> None:
        assert self.sealed(tmp_path, DisclosurePolicy()) is None

    def test_without_the_extra_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "edge_app.disclosure.sealed_latents", None)
        with pytest.raises(AppConfigError, match=r"lsi-edge\[latent\]"):
            self.sealed(tmp_path)


def test_a_latent_goes_through_the_outbox_and_the_broker_to_the_host_and_nothing_of_it_is_readable(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    broker = BrokerAddress("127.0.0.1", fresh_mosquitto.port, None)
    config = replace(CONFIG, state=tmp_path, broker=broker, policy=POLICY)
    outbox = open_outbox(config, leaving.STREAM, clock=CLOCK, wall_clock=SystemWallClock())
    uplink = Uplink(config, outbox, None, results=TERMS, clock=CLOCK)
    reader = Recorder()
    try:
        uplink.record(Kind.LATENT, SEALED.record_of(VALUES, NOON, "ntp"))
        plain = VALUES.astype("<f2").tobytes()
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        with linked(fresh_mosquitto.port, "host", reader, subscriptions=[TOPIC]):
            uplink.open(list)
            message = reader.message()
    finally:
        uplink.close()
    opened = Opener([HOST], {leaving.DEVICE: DEVICE_KEY.public_key}).open(message.payload, leaving.DEVICE)
    assert (opened.header.stream, opened.header.seq) == (leaving.STREAM, 1)
    assert opened.values.astype("<f2").tobytes() == plain
    assert message.properties.content_type == "application/vnd.lsi.sealed+cbor"
    assert not any(plain[at : at + 8] in stored + message.payload for at in range(0, len(plain), 8))


def test_the_code_that_seals_is_not_loaded_by_an_attribute_sensor() -> None:
    program = "import json, sys\nimport edge_app.cli, edge_app.cli_commands.run_command\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"lsi.sealing", "edge_app.disclosure.sealed_latents", "cbor2"} & set(
        json.loads(result.stdout)
    ) == set()


class Scanned:
    """A service in mode ``latent`` whose encoder sees the same in every scan."""

    def __init__(self, scenes: int, sealer: LatentSealer | None = None, *, presence: float = 0.75) -> None:
        bench = Bench([BRIGHT] * scenes)
        self.bundle = bench.bundle
        sealed = replace(SEALED, device_id="hall1", bundle=self.bundle.manifest.short_id)
        chosen = sealer or sealed
        bench.encoder.logits[-1] = presence
        parts = Parts(
            bench.rig,
            bench.bundle,
            bench.encoder,
            bench.publisher,
            stream=leaving.STREAM,
            sealer=lambda bundle: chosen if bundle is bench.bundle else None,
        )
        bench.service = Service(bench.config, parts)
        bench.run()
        self.payloads = bench.payloads
        self.latents = bench.publisher.of(Kind.LATENT)


def test_the_latent_of_each_scan_with_a_face_reaches_the_host_and_no_other() -> None:
    scanned = Scanned(3)
    opener = Opener([HOST], {"hall1": DEVICE_KEY.public_key})
    opened = [opener.open(payload, "hall1") for payload in scanned.latents]
    seqs = [each.header.seq for each in opened]  # the start of the visit has one too
    assert (len(seqs), seqs) == (3, sorted(set(seqs)))
    assert {each.header.bundle for each in opened} == {scanned.bundle.manifest.short_id}
    assert all(np.array_equal(each.values, OFFSET.values) for each in opened)
    nobody = Scanned(3, presence=-9.0)
    assert (len(nobody.payloads), nobody.latents) == (3, [])


class Refusing:
    """A sealer whose host key is past its days."""

    def record_of(self, values: NDArray[np.float32], ts: str, clock: str) -> Callable[[int], bytes]:
        raise SealError(f"{values.shape} at {ts} by {clock}: too old.", hint="a new host key.")

    def key_of(self, payload: bytes) -> tuple[str, int]:
        raise AssertionError(payload)


def test_what_cannot_be_sealed_is_not_sent_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    scanned = Scanned(3, Refusing())
    assert (len(scanned.payloads), scanned.latents) == (3, [])
    assert caplog.text.count("Latents are not sent") == 1
