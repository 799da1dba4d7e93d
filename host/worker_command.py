"""``lsi worker``: one of several that share the records of a fleet."""

import argparse
import re
from dataclasses import replace
from typing import Final

from host.broker_arguments import add_broker_arguments
from host.open_sink import open_sink
from host.record_command import add_sink_arguments, plan_of
from host.recording import run_recording
from lsi.errors import AppConfigError

HELP = "keep records as one of several workers that share the load (MQTT 5 shared subscription)"
WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi worker``."""
    add_broker_arguments(parser)
    add_sink_arguments(parser)
    parser.add_argument("--group", default="sink", help="workers of one group share (%(default)s)")
    parser.add_argument(
        "--worker", required=True, metavar="NAME", help="this one's name: the same again after a restart"
    )
    parser.epilog = (
        "Example: lsi worker --worker 0 --broker 127.0.0.1 --tls off --sink postgresql://lsi@db/lsi"
    )


def run(arguments: argparse.Namespace) -> int:
    """Record until interrupted."""
    for word in (arguments.group, arguments.worker):
        if not WORD.fullmatch(word):
            raise AppConfigError(f"{word!r} names no worker.", hint="1 to 32 of A-Z a-z 0-9 _ -.")
    plan = plan_of(arguments, f"lsi-{arguments.group}-{arguments.worker}")
    run_recording(replace(plan, group=arguments.group), open_sink(arguments.sink))
    return 0
