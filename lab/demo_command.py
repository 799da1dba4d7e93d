"""``lsi demo``: light to payload in front of your eyes."""

import argparse
import signal
from pathlib import Path
from typing import Final

from host.dashboard_command import WEB_PORT
from lab.broker import find_mosquitto
from lab.bundles import shipped_bundle
from lab.demo import DemoSettings, run_demo
from lab.demo_web import run_web_demo
from lab.scenes import open_scenes

HELP = "run a broker, a simulated sensor and a listener, and show what leaves the sensor"
DEFAULT_INTERVAL_S: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi demo``."""
    parser.add_argument(
        "--scene",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="a picture, a folder of pictures or a .npz data file (default: pictures of scikit-image)",
    )
    parser.add_argument("--frames", type=int, metavar="N", help="end after N payloads (default: without end)")
    parser.add_argument("--interval-s", type=float, default=DEFAULT_INTERVAL_S, help="default: %(default)s")
    parser.add_argument(
        "--bundle", type=Path, metavar="FILE", help="default: the attr-lite bundle in bundles/"
    )
    parser.add_argument(
        "--broker",
        choices=["auto", "mosquitto", "embedded"],
        default="auto",
        help="default: mosquitto when found",
    )
    parser.add_argument("--web", action="store_true", help="a page with the dashboard and a look inside")
    parser.add_argument("--web-port", type=int, default=WEB_PORT, help="default: %(default)s")
    parser.epilog = "Example: lsi demo --scene holiday.jpg --frames 5"


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    # A terminated demo ends its three processes like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scenes = open_scenes(arguments.scene)
    settings = DemoSettings(
        bundle=arguments.bundle or shipped_bundle(),
        frames=arguments.frames,
        interval_s=arguments.interval_s,
        mosquitto=None if arguments.broker == "embedded" else find_mosquitto(),
    )
    if arguments.web:
        run_web_demo(settings, lambda: open_scenes(arguments.scene), arguments.web_port, _say)
        return 0
    run_demo(settings, scenes, _say)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
