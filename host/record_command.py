"""``lsi record``: every record of our sensors into a file or a database."""

import argparse
import getpass
import hashlib
import socket
from dataclasses import replace
from typing import Final

from host.broker_arguments import add_broker_arguments, broker_of
from host.open_sink import open_sink
from host.recorder import Batching
from host.recording import KEEP_S, RecordingPlan, run_recording

HELP = "keep records in a file (JSON lines), SQLite or PostgreSQL; nothing is lost silently"
ID_DIGITS: Final = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi record``."""
    add_broker_arguments(parser)
    add_sink_arguments(parser)
    parser.add_argument("--device", default="+", metavar="ID", help="one device only; default: all")
    parser.add_argument(
        "--client-id",
        metavar="ID",
        help="name of our session at the broker (default: its own for each sink)",
    )
    parser.epilog = "Example: lsi record --broker 127.0.0.1 --tls off --sink records.db"


def add_sink_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where records go and how many at once."""
    default = Batching()
    parser.add_argument(
        "--sink",
        required=True,
        metavar="WHERE",
        help="FILE.jsonl, FILE.db, or postgresql://USER@HOST/DATABASE (password: ~/.pgpass)",
    )
    parser.add_argument("--attr", action="store_true", help="live attributes too")
    parser.add_argument(
        "--batch",
        type=int,
        default=default.rows,
        metavar="ROWS",
        help="most at once (%(default)s)",
    )
    parser.add_argument(
        "--flush-s", type=float, default=default.flush_s, help="longest wait for a batch (%(default)s)"
    )
    parser.add_argument(
        "--keep-s",
        type=int,
        default=KEEP_S,
        help="how long the broker waits for us (%(default)s)",
    )
    parser.add_argument("--report-s", type=float, default=10.0, help="counters to stderr (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Record until interrupted."""
    plan = plan_of(arguments, arguments.client_id or default_client_id(arguments.sink))
    run_recording(replace(plan, device=arguments.device), open_sink(arguments.sink))
    return 0


def plan_of(arguments: argparse.Namespace, client_id: str) -> RecordingPlan:
    """What :func:`add_sink_arguments` and the broker's arguments say, for a recorder called ``client_id``."""
    return RecordingPlan(
        address=broker_of(arguments),
        client_id=client_id,
        with_attr=arguments.attr,
        keep_s=arguments.keep_s,
        batching=Batching(arguments.batch, arguments.flush_s),
        report_s=arguments.report_s,
    )


def default_client_id(sink: str) -> str:
    """The same at every start of one recorder, another for another sink, user or machine."""
    who = f"{sink}\0{getpass.getuser()}\0{socket.gethostname()}"
    return f"lsi-record-{hashlib.sha256(who.encode()).hexdigest()[:ID_DIGITS]}"
