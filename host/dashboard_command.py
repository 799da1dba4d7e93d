"""``lsi dashboard``: the fleet as a web page, on this machine only."""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from host.broker_arguments import add_broker_arguments, broker_of
from host.fleet import Fleet
from host.subscription import Interest, subscribe
from lsi.errors import AppConfigError
from transport.broker import BrokerAddress

HELP = "show the fleet as a web page on this machine (http://127.0.0.1:8320)"
WEB_PORT: Final = 8320
LOOPBACK: Final = "127.0.0.1"
VIEWPORT: Final = "width=device-width, initial-scale=1, minimum-scale=1"
"""A phone that may zoom out does so for good over anything that is too wide for a moment."""

OUR_NAMES: Final = ("127.0.0.1", "localhost")


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
    parser.epilog = "Example: lsi dashboard --broker 127.0.0.1 --port 1883 --tls off"


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    print(f"Dashboard: http://{LOOPBACK}:{arguments.web_port} (this machine only)", flush=True)
    serve(broker_of(arguments), arguments.web_port, names=arguments.proxy_name)
    return 0


def serve(
    address: BrokerAddress,
    port: int,
    *,
    names: list[str] | None = None,
    panel: Callable[[], None] | None = None,
) -> None:
    """Serve the page on loopback until interrupted; ``panel`` puts something above the cards.

    A request under another host name than ours or ``names`` is refused: a page elsewhere shall not read
    this one by pointing its name at this machine.

    Raises:
        AppConfigError: NiceGUI is not installed.
    """
    try:
        from nicegui import app, ui  # noqa: PLC0415 - in an extra
        from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415 - same

        from host.dashboard_page import build_page  # noqa: PLC0415 - same
    except ImportError as cause:
        found = "The dashboard needs NiceGUI."
        raise AppConfigError(found, hint="pip install 'lsi-host[dashboard]'.") from cause
    fleet = Fleet()
    reading: list[asyncio.Task[None]] = []
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*OUR_NAMES, *(names or [])])
    app.on_startup(lambda: reading.append(asyncio.create_task(_read(address, fleet))))
    app.on_shutdown(lambda: _end(reading))
    ui.run(
        lambda: build_page(fleet, panel),
        host=LOOPBACK,
        port=port,
        viewport=VIEWPORT,
        show=False,
        reload=False,
        show_welcome_message=False,
        dark=None,
    )


async def _read(address: BrokerAddress, fleet: Fleet) -> None:
    async with aclosing(subscribe(address, Interest(asks_again=False))) as events:
        async for event in events:
            fleet.take(event, time.time())


async def _end(reading: list["asyncio.Task[None]"]) -> None:
    for task in reading:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
