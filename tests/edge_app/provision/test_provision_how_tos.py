"""The commands of the three pages, run as they stand: with OpenSSL, mosquitto and our own commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.broker import free_port
from tests.edge_app.provision.generated_broker import installed_version, started_broker
from tests.edge_app.provision.test_mosquitto_config import context_of, is_taken

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"

# The pages speak of two machines and of root; here all is one machine, and everybody is us.
SHIMS = {
    "ssh": 'shift; exec sh -c "$*"',
    "sudo": 'test "$1" = -u && shift 2; exec "$@"',
    "scp": 'exec cp "$1" "${2#*:}"',
    "lsi-edge": f'exec {sys.executable} -m tests.edge_app.provision.shown_commands "$@"',
}


def blocks(page: str, replaced: dict[str, str]) -> list[str]:
    """The runnable blocks of a page, with the reader's own names put in."""
    text = (HOW_TO / page).read_text("utf-8")
    for name, ours in replaced.items():
        text = text.replace(name, ours)
    found = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found


class Desk:
    """A folder with a shell in which the pages' blocks run one after another."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.authority = folder / "authority"
        self.state = folder / "state"
        self.broker = folder / "broker"
        for path in (self.state, self.broker, folder / "bin", folder / "tmp"):
            path.mkdir(mode=0o700)
        for name, body in SHIMS.items():
            path = folder / "bin" / name
            path.write_text(f"#!/bin/sh\n{body}\n", "ascii")
            path.chmod(0o700)
        self.replaced = {
            "broker.example.org": "localhost",
            "/var/lib/lsi": str(self.state),
            "/tmp/hall1.crt": str(folder / "tmp" / "hall1.crt"),  # noqa: S108 - a name on the page
        }

    def config(self, page: str) -> None:
        """The page's own lines of the configuration, and what it leaves to others."""
        text = (HOW_TO / page).read_text("utf-8")
        for name, ours in {**self.replaced, "/etc/lsi/ca.crt": str(self.authority / "ca.crt")}.items():
            text = text.replace(name, ours)
        shown = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        rest = f'board = "sim-mcp3208"\nbundle = "b.lsib"\nstate = "{self.state}"\n'
        placed = shown[0].replace("[mqtt]", f"{rest}[mqtt]\nport = {self.port}")
        (self.folder / "config.toml").write_text(placed, "utf-8")

    def run(self, block: str, where: Path) -> str:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        root = str(HOW_TO.parents[2])
        settings = {
            "PATH": path,
            "PYTHONPATH": root,
            "DESK_FOLDER": str(self.folder),
            "DESK_PORT": str(self.port),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=where,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def is_taken(self, stem: Path) -> bool:
        return is_taken(self.port, context_of(self.authority / "ca.crt", stem), "localhost")


def install(desk: Desk) -> tuple[str, str]:
    """What the page lets root do on the broker's machine."""
    for name in ("ca.crt", "ca.crl", "broker.crt", "broker.key"):
        shutil.copy(desk.authority / name, desk.broker)
    made = desk.authority / "broker-files"
    return (made / "mosquitto.conf").read_text("utf-8"), (made / "lsi.acl").read_text("utf-8")


def test_the_pages_lead_from_nothing_to_a_device_its_renewal_and_its_replacement(
    mosquitto_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_BROKER_VERSION", installed_version(mosquitto_path))
    desk = Desk(tmp_path, free_port())
    found = blocks("broker-with-tls.md", desk.replaced)
    desk.run(found[0], tmp_path)
    for block in found[1:]:
        desk.run(block, desk.authority)
    desk.config("provision-a-device.md")
    config, rules = install(desk)
    asked, signed, finished, judged, renewed = blocks("provision-a-device.md", desk.replaced)
    kept, revoked, restored = blocks("replace-a-dead-device.md", desk.replaced)
    with started_broker(mosquitto_path, desk.broker, config, rules):
        for block in (asked, signed, finished):
            desk.run(block, desk.authority)
        assert "nothing stops it" in desk.run(judged, desk.authority)
        for user in ("homeassistant", "decoder", "sink"):
            assert desk.is_taken(desk.authority / user)
        desk.run(renewed, desk.authority)
    assert (desk.state / "certificates" / "hall1.crt").exists()

    (desk.state / "rig-calibration-sim.json").write_text("{}", "ascii")
    desk.run(kept, desk.authority)
    shutil.copytree(desk.state, tmp_path / "dead")
    shutil.rmtree(desk.state)
    desk.state.mkdir(mode=0o700)
    # What is revoked is the certificate in use; the one of the renewal above never was.
    shutil.copy(tmp_path / "dead" / "mqtt.crt", desk.authority / "hall1.crt")
    desk.run(revoked, desk.authority)
    desk.run(restored, desk.authority)
    assert [path.name for path in desk.state.iterdir()] == ["rig-calibration-sim.json"]
    config, rules = install(desk)
    with started_broker(mosquitto_path, desk.broker, config, rules):
        for block in (asked, signed, finished):
            desk.run(block, desk.authority)
        assert desk.is_taken(desk.state / "mqtt")
        assert not desk.is_taken(tmp_path / "dead" / "mqtt")
