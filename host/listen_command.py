"""``lsi listen``: what sensors publish, as a table, as lines or as JSON."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from rich.console import Console
from rich.live import Live

from host.broker_arguments import add_broker_arguments, broker_of
from host.fleet import Fleet
from host.gap_watch import Gap
from host.listen_filter import ListenFilter, Where
from host.listen_line import as_json, as_text
from host.listen_table import fleet_table
from host.subscriber import Received, Rejected
from host.subscription import Event, Interest, LinkChanged, subscribe
from lsi.errors import PublishError
from lsi.payload import AttributePayload
from lsi.topics import Kind
from transport.broker import LinkState

HELP = "show what sensors publish: a table on a terminal, lines in a pipe, JSON on request"
DEFAULT_WAIT_S: Final = 10.0
REFRESH_S: Final = 0.25
ONLINE_LINE: Final = '{"link": "online"}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi listen``."""
    add_broker_arguments(parser)
    parser.add_argument("--device", default="+", metavar="ID", help="one device only; default: all")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        choices=[*Kind],
        help="only this kind of message; may be repeated",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="NAME=yes|no|-",
        help="only attr and event with this answer; may be repeated",
    )
    parser.add_argument("--ask-again", action="store_true", help="find missing records and ask for them")
    parser.add_argument("--count", type=int, metavar="N", help="end after N attribute payloads")
    parser.add_argument(
        "--wait-s", type=float, default=DEFAULT_WAIT_S, help="for the broker (default: %(default)s)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument("--lines", action="store_true", help="one line per message, also on a terminal")
    parser.epilog = "Example: lsi listen --broker 127.0.0.1 --port 1883 --tls off --where Smiling=yes --lines"


def run(arguments: argparse.Namespace) -> int:
    """Show until ``--count`` is reached or the process is interrupted."""
    interest = Interest(arguments.device, tuple(map(Kind, arguments.kind)), asks_again=arguments.ask_again)
    asyncio.run(_listen(arguments, subscribe(broker_of(arguments), interest)))
    return 0


async def _listen(arguments: argparse.Namespace, events: AsyncGenerator[Event, None]) -> None:
    wanted = ListenFilter(tuple(map(Where.parse, arguments.where)))
    async with aclosing(events):
        await _wait_online(events, arguments)
        shown = _counted(_shown(events, wanted), arguments.count)
        if arguments.json:
            print(ONLINE_LINE, flush=True)
            await _print(shown, as_json)
        elif arguments.lines or not sys.stdout.isatty():
            await _print(shown, as_text)
        else:
            await _draw(shown, Console())


async def _wait_online(events: AsyncGenerator[Event, None], arguments: argparse.Namespace) -> None:
    try:
        async with asyncio.timeout(arguments.wait_s):
            event = await anext(events)
    except TimeoutError as cause:
        found = f"Broker {arguments.broker} did not answer within {arguments.wait_s:g} s."
        raise PublishError(found, hint="--broker, --port and --tls.") from cause
    if not isinstance(event, LinkChanged) or event.state is not LinkState.ONLINE:
        state = event.state if isinstance(event, LinkChanged) else "unclear"
        found = f"Broker {arguments.broker} is {state}."
        raise PublishError(found, hint="--broker, --port and --tls; see the line above.")


async def _shown(
    events: AsyncIterator[Event], wanted: ListenFilter
) -> AsyncIterator[Received | Rejected | Gap]:
    async for event in events:
        if not isinstance(event, LinkChanged) and wanted(event):
            yield event


async def _counted(
    events: AsyncIterator[Received | Rejected | Gap], count: int | None
) -> AsyncIterator[Received | Rejected | Gap]:
    left = count
    while left is None or left > 0:
        event = await anext(events)
        yield event
        if left is not None and isinstance(event, Received) and isinstance(event.content, AttributePayload):
            left -= 1


async def _print(
    events: AsyncIterator[Received | Rejected | Gap], form: Callable[[Received | Rejected | Gap], str]
) -> None:
    async for event in events:
        print(form(event), flush=True)


async def _draw(events: AsyncIterator[Received | Rejected | Gap], console: Console) -> None:
    fleet, now_s = Fleet(), asyncio.get_running_loop().time

    async def refresh(live: Live) -> None:
        while True:
            live.update(fleet_table(fleet, now_s(), max(1, console.height - 6)), refresh=True)
            await asyncio.sleep(REFRESH_S)

    with Live(console=console, auto_refresh=False, screen=True) as live:
        refreshing = asyncio.create_task(refresh(live))
        try:
            async for event in events:
                fleet.take(event, now_s())
        finally:
            refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await refreshing
    console.print(fleet_table(fleet, now_s()))
