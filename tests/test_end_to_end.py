"""``lsi-edge run`` as a process, a real broker, and a stranger who subscribes to everything."""

import json
import subprocess
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

from firmware.sim.light import encode_light_frame, smooth_field
from lab.broker import LoopbackBroker, free_port, loopback_broker
from lab.signed_copy import SignedCopy
from lsi.schema import load_schema
from lsi.topics import RECORDS, Kind, Topic
from lsi.update_state import UpdateState
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import LinkState, Message

FRAMES = 4


def device(signed: SignedCopy, tmp_path: Path, port: int) -> list[str]:
    config = tmp_path / "config.toml"
    config.write_text(
        f'device_id = "e2e"\nboard = "sim-mcp3208"\nbundle = {json.dumps(str(signed.bundle))}\n'
        'state = "state"\nlive = { every_scan = true }\nhome_assistant = { enabled = false }\n'
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ntls = {{ mode = "off" }}\n[scan]\ninterval_s = 0.3\n',
        "utf-8",
    )
    return [sys.executable, "-m", "edge_app.cli", "run", "--config", str(config), "--simulate"]


def test_everything_on_the_broker_is_documented_and_fits_its_schema(
    fresh_mosquitto: LoopbackBroker, signed: SignedCopy, tmp_path: Path
) -> None:
    stranger = Recorder()
    with linked(fresh_mosquitto.port, "stranger", stranger, subscriptions=["#"]):
        assert stranger.state() is LinkState.ONLINE
        command = [*device(signed, tmp_path, fresh_mosquitto.port), "--light", "-"]
        light = encode_light_frame(smooth_field()) * FRAMES
        subprocess.run(command, input=light, check=True, capture_output=True, timeout=60)
        seen: list[Message] = []
        while not seen or seen[-1].payload != b"offline":
            seen.append(stranger.message())
    kinds = []
    for message in seen:
        topic = Topic.parse(message.topic)
        assert topic is not None, message
        assert topic.device_id == "e2e"
        kinds.append(topic.kind)
        if topic.kind is Kind.UPDATE:
            UpdateState.decode(message.payload)
        elif topic.kind is not Kind.AVAILABILITY:
            Draft202012Validator(load_schema(topic.kind)).validate(json.loads(message.payload))
    assert kinds[:4] == [Kind.INFO, Kind.HEALTH, Kind.UPDATE, Kind.AVAILABILITY]
    assert kinds.count(Kind.ATTR) >= FRAMES - 1
    # Nobody visits a smooth field, and this mode neither counts nor seals.
    assert set(kinds) == set(Kind) - RECORDS


def test_a_device_that_starts_before_its_broker_measures_and_then_publishes(
    mosquitto_path: str, signed: SignedCopy, tmp_path: Path
) -> None:
    port, reader = free_port(), Recorder()
    with subprocess.Popen(device(signed, tmp_path, port), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            lines = iter(process.stderr.readline, b"")
            away = next(line for line in lines if b" is away " in line)
            assert b"Try: check that it runs" in away
            with (
                loopback_broker(mosquitto_path, port),
                linked(port, "late", reader, subscriptions=["lsi/v1/e2e/attr"]),
            ):
                payload = json.loads(reader.message().payload)
        finally:
            process.terminate()
            rest = process.stderr.read()
    assert payload["seq"] > 1
    assert rest.count(b"Connection refused") == 0
    assert process.returncode == 0


def test_a_killed_device_is_said_to_be_offline_by_the_broker(
    fresh_mosquitto: LoopbackBroker, signed: SignedCopy, tmp_path: Path
) -> None:
    reader = Recorder()
    with linked(fresh_mosquitto.port, "watcher", reader, subscriptions=["lsi/v1/e2e/availability"]):
        assert reader.state() is LinkState.ONLINE
        retained = Message("lsi/v1/e2e/availability", b"offline", qos=1, retain=True)
        command = device(signed, tmp_path, fresh_mosquitto.port)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            words = [reader.message()]
            while words[-1].payload != b"online":
                words.append(reader.message())
            process.kill()
            assert reader.message().payload == b"offline"
        assert all(word.payload in {retained.payload, b"online"} for word in words)
