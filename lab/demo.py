"""The demo: broker, ``lsi-edge run`` and ``lsi listen`` as three processes, and a scene."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from firmware.boards.board import SIMULATED_BOARD
from firmware.sim.light import encode_light_frame
from host.listen_line import attribute_line
from lab.account import Account
from lab.broker import LoopbackBroker, loopback_broker
from lab.scenes import Scene
from lab.signed_copy import SignedCopy, signed_copy
from lsi.errors import ConfigError, PublishError
from lsi.payload import AttributePayload
from lsi.topics import Availability, Kind, Topic
from training.data_sets.luminance import FIELD_PX

DEVICE_ID: Final = "demo"
STOP_TIMEOUT_S: Final = 10.0
FAREWELL_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What to show and for how long; ``frames`` is ``None`` for without end."""

    bundle: Path
    frames: int | None
    interval_s: float
    mosquitto: str | None


@dataclass(slots=True)
class _Progress:
    """What the demo has seen so far. ``online`` opens the light: no scene is scanned for nobody."""

    online: threading.Event = field(default_factory=threading.Event)
    account: Account = field(default_factory=Account)
    shown: int = 0
    last_seq: int = 0
    d: int = 0


def run_demo(settings: DemoSettings, scenes: Iterator[Scene], say: Callable[[str], None]) -> int:
    """Run until ``settings.frames`` payloads were shown, or Ctrl-C.

    The processes have a session of their own, so that Ctrl-C reaches us alone: the device
    can still say goodbye and the listener still hears it.

    Args:
        settings: What to run.
        scenes: One scene per scan; read by this process alone, the device gets light.
        say: Takes every line for the terminal.

    Returns:
        The number of payloads shown.

    Raises:
        BundleError: No bundle that could be signed for this run.
        PublishError: The broker or the listener failed.
        ConfigError: The device ended by itself; the message holds what it said.
    """
    ahead: dict[int, Scene] = {}
    progress = _Progress()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsi-demo-")))
        signed = signed_copy(settings.bundle, folder)
        broker = stack.enter_context(loopback_broker(settings.mosquitto))
        say(f"Broker: {broker.kind} on {broker.host}:{broker.port}. To look yourself, in another terminal:")
        say(f"  mosquitto_sub -h {broker.host} -p {broker.port} -t 'lsi/#' -v")
        say(f"Bundle: {signed.bundle.name}, signed for this run with throwaway key {signed.key_name}")
        listener = stack.enter_context(_listener(broker))
        log = stack.enter_context((folder / "device.log").open("w+b"))
        device = stack.enter_context(device_process(demo_config(settings, signed, broker), folder, log))
        stack.enter_context(feeding(device, scenes, ahead, progress.online))
        with contextlib.suppress(KeyboardInterrupt):
            for event in _events(listener, device, log):
                _show(event, progress, ahead, say)
                if progress.shown == settings.frames:
                    break
        _interrupt(device)
        _drain(listener, progress)
    for line in progress.account.lines(progress.last_seq, progress.d, FIELD_PX):
        say(line)
    return progress.shown


@contextlib.contextmanager
def _listener(broker: LoopbackBroker) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["--broker", broker.host, "--port", str(broker.port), "--tls", "off", "--json"]
    command = [sys.executable, "-m", "host.cli", "listen", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            if not _lines(process).readline():
                raise PublishError("'lsi listen' did not reach the broker.", hint="the lines above.")
            yield process
        finally:
            _interrupt(process)


@contextlib.contextmanager
def device_process(text: str, folder: Path, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """``lsi-edge run`` on a simulated board, its light a pipe."""
    config = folder / "config.toml"
    config.write_text(text, "utf-8")
    arguments = ["--config", str(config), "--simulate", "--light", "-"]
    command = [sys.executable, "-m", "edge_app.cli", "run", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, start_new_session=True) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            _interrupt(process)


def demo_config(settings: DemoSettings, signed: SignedCopy, broker: LoopbackBroker) -> str:
    """The configuration of the demo's sensor."""
    return (
        f'device_id = "{DEVICE_ID}"\n'
        f'board = "{SIMULATED_BOARD}"\nstate = "state"\n'
        f"bundle = {json.dumps(str(signed.bundle))}\n"
        f'mqtt = {{ host = "{broker.host}", port = {broker.port}, tls = {{ mode = "off" }} }}\n'
        f"scan = {{ interval_s = {settings.interval_s} }}\n"
        "live = { every_scan = true }\n"
        "home_assistant = { enabled = false }\n"
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
    )


@contextlib.contextmanager
def feeding(
    device: subprocess.Popen[bytes], scenes: Iterator[Scene], ahead: dict[int, Scene], online: threading.Event
) -> Iterator[None]:
    """Write one light frame per scan; the pipe's own limit keeps us a few frames ahead."""
    light = device.stdin
    if light is None:  # pragma: no cover - opened with a pipe
        return

    def feed() -> None:
        online.wait()
        with contextlib.suppress(BrokenPipeError, ValueError):
            for seq, scene in enumerate(scenes, start=1):
                ahead[seq] = scene
                light.write(encode_light_frame(scene.luminance))
                light.flush()

    thread = threading.Thread(target=feed, name="light")
    thread.start()
    try:
        yield
    finally:
        _interrupt(device)
        online.set()
        device.wait(STOP_TIMEOUT_S)
        thread.join()
        with contextlib.suppress(BrokenPipeError):
            light.close()


def _events(
    listener: subprocess.Popen[bytes], device: subprocess.Popen[bytes], log: IO[bytes]
) -> Iterator[dict[str, Any]]:
    watcher = threading.Thread(target=_end_with, args=(device, listener), daemon=True)
    watcher.start()
    for line in _lines(listener):
        yield json.loads(line)
    watcher.join()
    if device.poll():
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
        raise ConfigError(f"'lsi-edge run' ended with code {device.returncode}:\n{said}")


def _end_with(device: subprocess.Popen[bytes], listener: subprocess.Popen[bytes]) -> None:
    """A listener without a device would wait without end; it still gets the farewell."""
    device.wait()
    with contextlib.suppress(subprocess.TimeoutExpired):
        listener.wait(FAREWELL_TIMEOUT_S)
    _interrupt(listener)


def _show(
    event: dict[str, Any], progress: _Progress, ahead: dict[int, Scene], say: Callable[[str], None]
) -> None:
    progress.account.add(event["topic"], event["bytes"])
    topic = Topic.parse(event["topic"])
    if topic is None or "payload" not in event:
        say(f"Unexpected message: {event}")
    elif event["payload"] == Availability.ONLINE:
        progress.online.set()
    elif topic.kind is Kind.INFO:
        progress.d = event["payload"]["d"]
    elif topic.kind is Kind.ATTR:
        payload = AttributePayload.decode(json.dumps(event["payload"]).encode())
        scene = ahead[payload.seq]
        for seq in range(progress.last_seq + 1, payload.seq + 1):
            del ahead[seq]
        progress.shown += 1
        progress.last_seq = payload.seq
        say(f"{scene.name:20} {attribute_line(payload, event['bytes'], scene.truth)}")


def _drain(listener: subprocess.Popen[bytes], progress: _Progress) -> None:
    """Count what came after the last payload shown, up to the device's "offline"."""
    for line in _lines(listener):
        event = json.loads(line)
        progress.account.add(event["topic"], event["bytes"])
        topic = Topic.parse(event["topic"])
        if topic is not None and topic.kind is Kind.ATTR:
            progress.last_seq = event["payload"]["seq"]
        if event.get("payload") == Availability.OFFLINE:
            break


def _lines(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:  # pragma: no cover - opened with a pipe
        raise PublishError("The listener has no output.")
    return process.stdout


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
