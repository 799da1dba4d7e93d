"""The way a bundle takes in the field: ssh to a device whose service runs, nothing simulated on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.broker import LoopbackBroker
from tests.host.sshd import SSHD, SshServer, ssh_server
from tests.releases import Device, device_in, release

pytestmark = [
    pytest.mark.skipif(
        not SSHD.exists(), reason="Debian's openssh-server is missing (apt install openssh-server)"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start an ssh server that lets users in"),
]
WAIT_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@contextmanager
def service(device: Device) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "edge_app.cli", "run", "--config", str(device.config)]
    with (device.folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            deadline_s = time.monotonic() + WAIT_S
            while b" is online" not in (device.folder / "log").read_bytes():
                assert process.poll() is None, (device.folder / "log").read_text()
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def flash(bundle: Path, server: SshServer, device: Device, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-m", "host.cli", "flash", str(bundle), "ssh://device", "--ssh-config",
        str(server.ssh_config), "--device-config", str(device.config), "--json", *more,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


def listed(device: Device) -> str:
    command = [sys.executable, "-m", "edge_app.cli", "bundle", "list", "--config", str(device.config)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_bundle_goes_over_ssh_into_a_running_service_that_keeps_it(
    server: SshServer, fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    old, new = release(tmp_path, "1.0.0", 1), release(tmp_path, "1.1.0", 2)
    device = device_in(tmp_path / "device", factory=old, port=fresh_mosquitto.port)
    with service(device):
        done = flash(new, server, device)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["result"] == "active"
        assert re.search(r"sending, \d+ %", done.stderr)
        log = (device.folder / "log").read_text()
        assert "passed its trial and is active" in log
    assert "a  active    attr-lite-16 1.1.0" in listed(device)


def test_a_connection_that_breaks_in_mid_transfer_is_made_anew_and_goes_on(
    server: SshServer, tmp_path: Path
) -> None:
    """The first connection is cut by the far end, as a Wi-Fi that goes away would, after a part."""
    bundle, device = release(tmp_path, "1.0.0"), device_in(tmp_path / "device")
    breaking = tmp_path / "breaking"
    breaking.write_text(
        "#!/bin/sh\n"
        f'if [ ! -e {tmp_path}/cut ] && echo "$*" | grep -q receive; then\n'
        f"  touch {tmp_path}/cut\n"
        '  head -c 150000 | lsi-edge "$@"\n'
        "  kill -9 $PPID\n"
        "fi\n"
        'exec lsi-edge "$@"\n',
        "ascii",
    )
    breaking.chmod(0o755)
    done = flash(bundle, server, device, "--edge-command", str(breaking))
    assert (tmp_path / "cut").exists()
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["result"] == "to be tried at its next start"
    assert "trial" in listed(device)


def test_a_device_that_is_not_there_is_told(server: SshServer, tmp_path: Path) -> None:
    bundle = release(tmp_path, "1.0.0")
    command = [sys.executable, "-m", "host.cli", "flash", str(bundle), "ssh://127.0.0.1:1", "--json",
               "--ssh-config", str(server.ssh_config)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 54
    assert "Connection refused" in json.loads(done.stdout)["error"]
