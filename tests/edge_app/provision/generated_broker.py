"""Debian's mosquitto with the configuration that the product writes, on loopback."""

import argparse
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_app.provision.mosquitto_config import (
    CONFIG_NAME,
    RULES_NAME,
    BrokerSetup,
    Floor,
    Version,
    access_rules,
    broker_config,
)
from lab.broker import free_port
from tests.edge_app.provision.authorities import BROKER, Signer, Wish


def installed_version(mosquitto: str) -> Version:
    """The line of the broker that is here."""
    said = subprocess.run([mosquitto, "-h"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+\.\d+)", said)
    return Version.V2_0 if found is None or found[1] == "2.0" else Version.V2_1


@contextmanager
def generated_broker(  # noqa: PLR0913 - keyword-only, each a different thing
    mosquitto: str,
    folder: Path,
    signer: Signer,
    *,
    wish: Wish = BROKER,
    floor: Floor = Floor.TLS_1_3,
    more_rules: str = "",
    with_crl: bool = False,
) -> Iterator[int]:
    """Its port; certificates, rules and data lie in ``folder``."""
    (folder / "ca.crt").write_bytes(signer.pem)
    signer.issue(folder, "broker", wish)
    setup = BrokerSetup(
        installed_version(mosquitto), floor, folder, folder, free_port(), "127.0.0.1", with_crl
    )
    with started_broker(mosquitto, folder, broker_config(setup), access_rules(setup) + more_rules):
        yield setup.port


@contextmanager
def started_broker(mosquitto: str, folder: Path, config: str, rules: str) -> Iterator[None]:
    """Mosquitto under two texts. It runs as our user: the folder is nobody else's to read."""
    (folder / CONFIG_NAME).write_text(f"{config}user root\n", "utf-8")
    (folder / RULES_NAME).write_text(rules, "utf-8")
    (folder / RULES_NAME).chmod(0o600)
    log = folder / "mosquitto.log"
    with (
        log.open("wb") as file,
        subprocess.Popen([mosquitto, "-c", folder / CONFIG_NAME], stderr=file) as process,
    ):
        try:
            deadline_s = time.monotonic() + 15
            while b"running" not in log.read_bytes() and time.monotonic() < deadline_s:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
                    raise AssertionError(log.read_text())
            yield
        finally:
            process.terminate()


def run_command(add: Callable[..., None], *arguments: str | Path) -> int:
    """A command as the command line runs it."""
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    parsed = parser.parse_args([str(argument) for argument in arguments])
    code: int = parsed.command(parsed)
    return code
