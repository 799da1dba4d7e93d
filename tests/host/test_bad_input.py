"""Bad input at a running ``lsi record`` behind mosquitto: refused, counted, told; the stream goes on."""

import re
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.properties import VariableByteIntegers

from host.cli import main
from host.opener import Opener
from lab.broker import LoopbackBroker
from lsi.errors import SignatureMismatchError
from lsi.minisign import SecretKey
from lsi.sealing import seal
from tests.host.devices import Device, visit
from tests.host.test_worker import recording, wait_for
from tests.sealed import DEVICE_KEY, HOST, LATENT, header
from tests.transport.test_mqtt import TIMEOUT_S
from transport.broker import Message

HUGE_BYTES = 100_000_000
STREAM = "0123456789abcdef"
CONNECT = bytes.fromhex("10 0F 0004 4D515454 04 02 003C 0003 626164")
"""MQTT 3.1.1, client id "bad", clean session."""


def summary(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """All that a recorder said until it was told to end, and its last line."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=TIMEOUT_S)
    return said, said.splitlines()[-1]


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def event(device_id: str, seq: int, **changes: str) -> bytes:
    return replace(visit(STREAM, device_id, seq), **changes).encode()  # type: ignore[arg-type] # texts


def test_what_no_device_sends_is_in_quarantine_with_its_reason(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    good = event("bad2", 1)
    sealed = seal(LATENT, header(device_id="bad2", seq=2), HOST.public_key, DEVICE_KEY)
    bad = {
        "unknown version": (
            "event",
            good.replace(b"lsi.event/1", b"lsi.event/2"),
            "'lsi.event/1' was expected",
        ),
        "truncated CBOR": ("latent", sealed[: len(sealed) // 2], "not CBOR"),
        "wildcards": ("event", good.replace(b'"dev":"bad2"', b'"dev":"+/#"'), "does not match"),
        "another's name": ("event", good.replace(b'"dev":"bad2"', b'"dev":"bad3"'), "another device"),
        "deep": ("event", b"[" * 2_000, "not JSON"),
        "long": ("event", b'"' + b"x" * 200_000 + b'"', "at most 2048"),
        "not UTF-8": ("event", good.replace(b"start", b"st\xffrt"), "not JSON"),
        "a number that is none": ("event", good.replace(b'"seq":1', b'"seq":NaN'), "not JSON"),
        "retained": ("agg", b"{}", "never retained"),
    }
    path, broker = tmp_path / "r.db", fresh_mosquitto
    with Device(broker.port, tmp_path, "bad2") as device, recording(broker, path, "bad2") as process:
        for kind, content, said in bad.values():
            device.send(Message(f"lsi/v1/bad2/{kind}", content, retain=said == "never retained"))
        device.send(Message("lsi/v1/bad2/event", good))
        wait_for(1, path)
        _, last = summary(process)
    # Who is subscribed already gets a retained message without its mark; its content is what is wrong then.
    expected = {name: said for name, (_, _, said) in bad.items() if name != "retained"}
    reasons = [reason for (reason,) in rows(path, "SELECT reason FROM lsi_quarantine ORDER BY rowid")]
    assert len(reasons) == len(bad)
    assert {
        name: said in reason for (name, said), reason in zip(expected.items(), reasons, strict=False)
    } == (dict.fromkeys(expected, True))
    assert last.startswith(f"1 records, 0 copies, 0 contradictions, {len(bad)} rejected")


def test_a_device_id_that_is_none_is_refused_in_a_topic_too(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    path = tmp_path / "r.db"
    with Device(mosquitto.port, tmp_path, "bad4") as device, recording(mosquitto, path, "+") as process:
        for name in ("BAD4", "a" * 33, "b%C3%A4d", "bad 4", "\N{WHITE SMILING FACE}"):
            device.send(Message(f"lsi/v1/{name}/event", event("bad4", 1)))
        device.record()
        wait_for(1, path)
        summary(process)
    assert rows(path, "SELECT count(*), min(reason) FROM lsi_quarantine") == [(5, "not a documented topic")]


def test_a_clock_that_is_years_away_is_counted_and_told_and_its_records_are_kept(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    path = tmp_path / "r.db"
    times = ("1999-12-31T23:59:59.999Z", "2099-01-01T00:00:00.000Z")
    with Device(mosquitto.port, tmp_path, "bad5") as device, recording(mosquitto, path, "bad5") as process:
        for seq, ts in enumerate(times, start=1):
            device.send(Message("lsi/v1/bad5/event", event("bad5", seq, ts=ts)))
        wait_for(2, path)
        said, last = summary(process)
    assert rows(path, "SELECT ts FROM lsi_record ORDER BY seq") == [(ts,) for ts in times]
    assert rows(path, "SELECT count(*) FROM lsi_record WHERE received < '2026'") == [(0,)]
    assert last.endswith("2 of a time far off")
    assert said.count("bad5 sends records whose time is days from ours") == 1


def test_a_forged_latent_is_kept_as_it_came_and_opened_by_nobody(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    genuine = seal(LATENT, header(device_id="bad6", seq=1), HOST.public_key, DEVICE_KEY)
    forged = seal(LATENT, header(device_id="bad6", seq=1), HOST.public_key, SecretKey.generate())
    path = tmp_path / "r.db"
    with Device(mosquitto.port, tmp_path, "bad6") as device, recording(mosquitto, path, "bad6") as process:
        device.send(Message("lsi/v1/bad6/latent", forged))
        wait_for(1, path)
        device.send(Message("lsi/v1/bad6/latent", genuine))
        device.send(Message("lsi/v1/bad6/event", event("bad6", 2)))
        wait_for(2, path)
        _, last = summary(process)
    (kept, contradicted), _ = rows(path, "SELECT sealed, contradicted FROM lsi_record ORDER BY seq")
    assert (kept, contradicted) == (forged, 1)
    assert last.startswith("2 records, 1 copies, 1 contradictions")
    opener = Opener([HOST], {"bad6": DEVICE_KEY.public_key})
    with pytest.raises(SignatureMismatchError):
        opener.open(forged)
    assert opener.open(genuine).header.seq == 1


def publishing(port: int, topic: bytes, length: int) -> socket.socket:
    """A client of ten lines that has announced a PUBLISH of QoS 0 with ``length`` bytes to come."""
    client = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    client.sendall(CONNECT)
    assert client.recv(4) == bytes.fromhex("20020000")
    packed: bytes = VariableByteIntegers.encode(2 + len(topic) + length)  # type: ignore[no-untyped-call] # paho's
    client.sendall(b"\x30" + packed + len(topic).to_bytes(2) + topic)
    return client


def peak_kb(process: "subprocess.Popen[str]") -> int:
    """The most memory that a process has held."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def test_a_hundred_megabytes_cost_a_recorder_no_memory(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    path, chunk = tmp_path / "r.db", bytes(1_000_000)
    broker = fresh_mosquitto
    with Device(broker.port, tmp_path, "bad7") as device, recording(broker, path, "bad7") as process:
        device.record()
        wait_for(1, path)
        before_kb = peak_kb(process)
        with publishing(broker.port, b"lsi/v1/bad7/event", HUGE_BYTES) as client:
            for _ in range(HUGE_BYTES // len(chunk)):
                client.sendall(chunk)
            client.sendall(b"\xc0\x00")  # PINGREQ: answered when the broker is done with it
            assert client.recv(2) == b"\xd0\x00"
        device.record()
        wait_for(2, path)
        grown_kb = peak_kb(process) - before_kb
        _, last = summary(process)
    assert grown_kb < 10_000
    assert last.startswith("2 records, 0 copies, 0 contradictions, 0 rejected")


def test_a_topic_that_is_no_utf_8_ends_at_the_broker(mosquitto: LoopbackBroker, tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with Device(mosquitto.port, tmp_path, "bad8") as device, recording(mosquitto, path, "bad8") as process:
        with publishing(mosquitto.port, b"lsi/v1/bad8\xff/event", 2) as client:
            client.sendall(b"{}")
            assert client.recv(2) == b""
        device.record()
        wait_for(1, path)
        _, last = summary(process)
    assert last.startswith("1 records, 0 copies, 0 contradictions, 0 rejected")


@pytest.mark.parametrize("command", [["record"], ["worker", "--worker", "a"]])
def test_a_key_that_others_may_read_is_refused_before_anything_is_sent(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "sink.key"
    key.touch(0o644)
    key.chmod(0o644)
    options = ["--broker", "broker.example.org", "--sink", str(tmp_path / "r.db")]
    files = ["--cert-file", str(key), "--key-file", str(key)]
    assert main([*command, *options, *files]) == 3
    said = capsys.readouterr().err
    assert "open to others (mode 0644)" in said
    assert f"chmod 600 {key}" in said
