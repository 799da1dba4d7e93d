"""``lsi dashboard``: the fleet as a web page, on this machine only."""

import argparse
import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from host.broker_arguments import add_broker_arguments, broker_of
from host.fleet import Fleet
from host.live_pictures import LivePictures
from host.picture_arguments import add_picture_arguments, pictures_of
from host.sealed_record import SealedRecord
from host.subscriber import Received
from host.subscription import Interest, subscribe
from lsi.errors import AppConfigError
from transport.broker import BrokerAddress

HELP = "show the fleet as a web page on this machine (http://127.0.0.1:8320)"
WEB_PORT: Final = 8320
LOOPBACK: Final = "127.0.0.1"
VIEWPORT: Final = "width=device-width, initial-scale=1, minimum-scale=1"
"""A phone that may zoom out does so for good over anything that is too wide for a moment."""

OUR_NAMES: Final = ("127.0.0.1", "localhost")
RECONNECT_S: Final = 15.0
"""A page that was cut off for no longer goes on as it was; a longer time keeps pages that were closed."""

MESSAGES_KEPT: Final = 1_000
"""What a page that was cut off for a moment may ask for again; none where pictures could be among it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi dashboard``."""
    add_broker_arguments(parser)
    parser.add_argument("--web-port", type=int, default=WEB_PORT, help="default: %(default)s")
    parser.add_argument(
        "--proxy-name",
        action="append",
        default=[],
        metavar="HOST",
        help="name under which a reverse proxy with a login shows the page; may be repeated",
    )
    add_picture_arguments(parser)
    parser.epilog = "Example: lsi dashboard --broker 127.0.0.1 --port 1883 --tls off"


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    pictures = pictures_of(arguments)
    print(f"Dashboard: http://{LOOPBACK}:{arguments.web_port} (this machine only)", flush=True)
    site = Site(arguments.web_port, tuple(arguments.proxy_name), pictures=pictures)
    serve(broker_of(arguments), site)
    return 0


@dataclass(frozen=True, slots=True)
class Site:
    """What is served, and where.

    ``panel`` puts something above the cards. Without ``pictures`` there is no switch for them. A request
    under another host name than ours or ``names`` is refused: a page elsewhere shall not read this one by
    pointing its name at this machine.
    """

    port: int
    names: tuple[str, ...] = ()
    panel: Callable[[], None] | None = None
    pictures: LivePictures | None = None


def serve(address: BrokerAddress, site: Site) -> None:
    """Serve the page on loopback until interrupted.

    Raises:
        AppConfigError: NiceGUI is not installed, the port is taken, or certificates that cannot be used.
    """
    try:
        from nicegui import app, ui  # noqa: PLC0415 - in an extra
        from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415 - same

        from host.dashboard_page import build_page  # noqa: PLC0415 - same
    except ImportError as cause:
        found = "The dashboard needs NiceGUI."
        raise AppConfigError(found, hint="pip install 'lsi-host[dashboard]'.") from cause
    _check_free(site.port)
    fleet, pictures = Fleet(), site.pictures
    beside = _Beside(app.shutdown)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*OUR_NAMES, *site.names])
    app.on_startup(lambda: beside.start(_read(address, fleet, pictures)))
    if pictures is not None:
        app.on_startup(lambda: beside.start(pictures.run()))
    app.on_shutdown(beside.end)
    ui.run(
        lambda: build_page(fleet, site.panel, pictures),
        host=LOOPBACK,
        port=site.port,
        viewport=VIEWPORT,
        show=False,
        reload=False,
        show_welcome_message=False,
        dark=None,
        reconnect_timeout=RECONNECT_S,
        message_history_length=MESSAGES_KEPT if pictures is None else 0,
    )
    if beside.failure is not None:
        raise beside.failure


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((LOOPBACK, port))
        except OSError as cause:
            found = f"Port {port} of this machine cannot be listened on ({cause.strerror})."
            raise AppConfigError(found, hint="--web-port, and one that is free.") from cause


async def _read(address: BrokerAddress, fleet: Fleet, pictures: LivePictures | None) -> None:
    async with aclosing(subscribe(address, Interest(asks_again=False))) as events:
        async for event in events:
            fleet.take(event, time.time())
            record = event.record if isinstance(event, Received) else None
            if pictures is not None and isinstance(record, SealedRecord):
                pictures.take(record)


class _Beside:
    """What runs beside the page. The first that fails calls ``stop``, and is the ``failure`` to tell of."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
            self._stop()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
