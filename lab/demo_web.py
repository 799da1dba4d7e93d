"""The demo as a page: the dashboard, fed by a broker and a sensor of its own, and the panel above it."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from firmware.boards.board import SIMULATED_BOARD, find_board
from host.dashboard_command import LOOPBACK, serve
from lab.broker import loopback_broker
from lab.demo import DemoSettings, demo_config, device_process, feeding
from lab.scenes import Scene
from lab.shown_rig import ShownRig
from lab.signed_copy import signed_copy
from lsi.bundle import read_bundle
from lsi.errors import AppConfigError
from transport.broker import BrokerAddress


def run_web_demo(
    settings: DemoSettings, scenes: Callable[[], Iterator[Scene]], port: int, say: Callable[[str], None]
) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        AppConfigError: NiceGUI is not installed.
        BundleError: No bundle that could be signed for this run.
        PublishError: The broker did not start.
    """
    try:
        from lab.demo_panel import panel_of  # noqa: PLC0415 - in an extra
    except ImportError as cause:
        found = "The page needs NiceGUI."
        raise AppConfigError(found, hint="pip install 'lsi-host[demo,dashboard]'.") from cause
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsi-demo-")))
        signed = signed_copy(settings.bundle, folder)
        broker = stack.enter_context(loopback_broker(settings.mosquitto))
        log = stack.enter_context((folder / "device.log").open("w+b"))
        device = stack.enter_context(device_process(demo_config(settings, signed, broker), folder, log))
        stack.enter_context(feeding(device, scenes(), {}, _now()))
        rig = stack.enter_context(_showing(settings, scenes()))
        say(f"Demo: http://{LOOPBACK}:{port} (this machine only). Ctrl-C ends it.")
        serve(BrokerAddress(broker.host, broker.port, None), port, panel=lambda: panel_of(rig))


@contextlib.contextmanager
def _showing(settings: DemoSettings, scenes: Iterator[Scene]) -> Iterator[ShownRig]:
    stop = threading.Event()
    rig = ShownRig(read_bundle(settings.bundle), find_board(SIMULATED_BOARD), scenes, stop.wait)
    thread = threading.Thread(target=rig.run, name="shown-rig")
    thread.start()
    try:
        yield rig
    finally:
        stop.set()
        thread.join()


def _now() -> threading.Event:
    """Light from the beginning: whoever opens the page later has missed nothing that matters."""
    event = threading.Event()
    event.set()
    return event
