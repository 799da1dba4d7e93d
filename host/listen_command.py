"""``lsi listen``: every message of our sensors, one line each."""

import argparse
import queue
import secrets
from pathlib import Path
from typing import Final

from host.listen_line import as_json, as_text
from host.subscriber import Received, Rejected, read_message
from lsi.errors import PublishError
from lsi.payload import AttributePayload
from lsi.topics import subscription
from transport.broker import PORT, TLS_PORT, BrokerAddress, LinkState, TlsSettings
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

HELP = "print what sensors publish, one line per message"
DEFAULT_WAIT_S: Final = 10.0
ONLINE_LINE: Final = '{"link": "online"}'
CLIENT_ID_BYTES: Final = 4

Event = Received | Rejected | LinkState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi listen``."""
    parser.add_argument("--broker", default="127.0.0.1", metavar="HOST", help="default: %(default)s")
    parser.add_argument("--port", type=int, help=f"default: {TLS_PORT}, without TLS {PORT}")
    parser.add_argument("--tls", choices=["on", "off"], default="on", help="off works on loopback only")
    parser.add_argument("--ca-file", type=Path, help="whom to trust instead of the system's certificates")
    parser.add_argument("--cert-file", type=Path, help="our certificate, where the broker asks for one")
    parser.add_argument("--key-file", type=Path, help="its private key, mode 0600")
    parser.add_argument("--device", default="+", metavar="ID", help="one device only; default: all")
    parser.add_argument("--count", type=int, metavar="N", help="end after N attribute payloads")
    parser.add_argument(
        "--wait-s", type=float, default=DEFAULT_WAIT_S, help="for the broker (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.epilog = "Example: lsi listen --broker 127.0.0.1 --port 1883 --tls off --count 5"


def run(arguments: argparse.Namespace) -> int:
    """Print until ``--count`` is reached or the process is interrupted."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    link = MqttLink(
        _address(arguments),
        f"lsi-listen-{secrets.token_hex(CLIENT_ID_BYTES)}",
        subscriptions=[subscription(arguments.device)],
        events=LinkEvents(
            on_message=lambda message: events.put(read_message(message)),
            on_state=lambda state, _: events.put(state),
        ),
    )
    link.start()
    try:
        _wait_online(events, arguments)
        _print_events(events, arguments)
    finally:
        link.stop()
    return 0


def _address(arguments: argparse.Namespace) -> BrokerAddress:
    tls = None
    if arguments.tls == "on":
        tls = TlsSettings(arguments.ca_file, arguments.cert_file, arguments.key_file)
    port = arguments.port or (PORT if tls is None else TLS_PORT)
    return BrokerAddress(arguments.broker, port, tls)


def _wait_online(events: "queue.SimpleQueue[Event]", arguments: argparse.Namespace) -> None:
    found = f"Broker {arguments.broker} did not answer within {arguments.wait_s:g} s."
    try:
        event = events.get(timeout=arguments.wait_s)
    except queue.Empty as cause:
        raise PublishError(found, hint="--broker, --port and --tls.") from cause
    if event is not LinkState.ONLINE:
        found = f"Broker {arguments.broker} is {event}."
        raise PublishError(found, hint="--broker, --port and --tls; see the line above.")
    if arguments.json:
        print(ONLINE_LINE, flush=True)


def _print_events(events: "queue.SimpleQueue[Event]", arguments: argparse.Namespace) -> None:
    form = as_json if arguments.json else as_text
    left = arguments.count
    while left is None or left > 0:
        event = events.get()
        if isinstance(event, LinkState):
            continue
        print(form(event), flush=True)
        if left is not None and isinstance(event, Received) and isinstance(event.content, AttributePayload):
            left -= 1
