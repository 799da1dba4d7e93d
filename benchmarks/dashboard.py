"""``lsi dashboard`` with a fleet: how soon an answer is on the page, and what the program behind it costs.

    python -m benchmarks.dashboard --json

Every device tells all that one in mode ``attr-lite`` tells, then its live state once a second. The page is
open in headless Chromium. Needs mosquitto and Chromium; two minutes.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.report import Figure, report
from host.dashboard_page import REFRESH_S
from host.fleet import HISTORY, Fleet
from host.subscriber import Received
from lab.broker import find_mosquitto, loopback_broker
from lsi.topics import Kind, Topic
from tests.browser import CHROMIUM, Browser, chromium, process_of, until
from tests.host.fleet_writer import fleet_writer
from tests.payloads import payload

DEVICES: Final = 1_000
FLIPS: Final = 20
WEIGHED_S: Final = 15.0
MS_PER_S: Final = 1_000
KIB_PER_MB: Final = 1_024
_WATCH: Final = """
window.flips = [];
const card = document.querySelector('[data-testid="card-d00000"]');
let before = card.innerText.includes('Smiling yes');
new MutationObserver(() => {
    const now = card.innerText.includes('Smiling yes');
    if (now !== before && card.innerText.includes('Smiling')) { before = now; window.flips.push(Date.now()); }
}).observe(card, {subtree: true, childList: true, characterData: true});
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    mosquitto = find_mosquitto()
    if mosquitto is None or not CHROMIUM.exists():
        print("Needs mosquitto and Chromium: apt install mosquitto chromium chromium-driver", file=sys.stderr)
        return 2
    print(report("dashboard", _figures(mosquitto, parsed.devices), as_json=parsed.json))
    return 0


def _figures(mosquitto: str, devices: int) -> list[Figure]:
    names = [f"d{number:05d}" for number in range(devices)]
    with loopback_broker(mosquitto) as broker, tempfile.TemporaryDirectory() as folder:
        words = ["-m", "host.cli", "dashboard", "--port", str(broker.port), "--tls", "off"]
        with process_of(*words) as (url, pid), chromium(Path(folder)) as browser:
            idle_mb = _rss_mb(pid)
            with fleet_writer(broker.port) as writer:
                for name in names:
                    writer.everything(name)
            with _live(broker.port, names[1:]):
                closed = _cpu_share(pid)
                began_s = time.monotonic()
                with browser.visit(url):
                    until(lambda: len(browser.all("[data-testid^=card-]")) == min(devices, 48))
                    open_ms = (time.monotonic() - began_s) * MS_PER_S
                    shown_ms = _shown_ms(browser, broker.port)
                    opened = _cpu_share(pid)
                    full_mb = _rss_mb(pid)
    return [
        _figure("publish_to_shown_p50_ms", median(shown_ms), "ms", refresh_period_ms=REFRESH_S * MS_PER_S),
        _figure("publish_to_shown_max_ms", max(shown_ms), "ms", refresh_period_ms=REFRESH_S * MS_PER_S),
        _figure("page_open_ms", open_ms, "ms", devices=devices),
        _figure("cpu_share_with_a_page", opened, "of one core", without_a_page=closed),
        _figure("rss_mb", full_mb, "MB", before_any_device=idle_mb),
        _figure("full_histories_mb", _histories_mb(names), "MB", answers=devices * HISTORY),
    ]


def _figure(name: str, value: float, unit: str, **beside: float) -> Figure:
    return Figure(name=name, value=value, unit=unit, goal=None, holds=None, beside=beside)


def _shown_ms(browser: Browser, port: int) -> list[float]:
    """From the publishing of an answer of the first device to its being on the page."""
    found = []
    told = browser.text("summary")
    until(lambda: browser.text("summary") != told)  # it is connected
    with fleet_writer(port) as writer:
        browser.asked(_WATCH)
        for seq in range(FLIPS):
            writer_ms = time.time() * MS_PER_S
            writer.answer("d00000", is_smiling=seq % 2 == 1, seq=seq + 2)
            until(partial(_has_flipped, browser, seq + 1))
            found.append(browser.asked("return window.flips")[-1] - writer_ms)
            time.sleep(0.1 + 0.037 * seq)  # not in step with the page
    return found


def _has_flipped(browser: Browser, times: int) -> bool:
    return len(browser.asked("return window.flips")) >= times


@contextmanager
def _live(port: int, names: Sequence[str]) -> Iterator[None]:
    """Each of ``names`` tells its live state once a second."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "live", protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    stop = threading.Event()

    def tell() -> None:
        for number in range(1_000_000_000):
            name = names[number % len(names)]
            live = payload(device_id=name, seq=number + 2, attributes={"Smiling": number % 3 == 0})
            client.publish(f"lsi/v1/{name}/attr", live.encode(), 1)
            if stop.wait(1 / len(names)):
                return

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        client.disconnect()
        client.loop_stop()


def _cpu_share(pid: int) -> float:
    began_s, ticks = time.monotonic(), _cpu_ticks(pid)
    time.sleep(WEIGHED_S)
    used_s = (_cpu_ticks(pid) - ticks) / os.sysconf("SC_CLK_TCK")
    return used_s / (time.monotonic() - began_s)


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / KIB_PER_MB


def _histories_mb(names: Sequence[str]) -> float:
    """What histories take that are as long as they may be."""
    before_mb = _rss_mb(os.getpid())
    fleet = Fleet()
    for number in range(HISTORY):
        for name in names:
            live = payload(device_id=name, attributes={"Smiling": number % 2 == 0, "Eyeglasses": None})
            fleet.take(Received(Topic(name, Kind.ATTR), 250, retained=False, content=live), float(number))
    return _rss_mb(os.getpid()) - before_mb


if __name__ == "__main__":
    sys.exit(main())
