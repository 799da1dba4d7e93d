"""Debian's OpenSSH server on loopback with throwaway keys: a device on the other side of a wire."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.broker import LOOPBACK, free_port

SSHD = Path("/usr/sbin/sshd")
START_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class SshServer:
    """A running server, and a configuration of ssh that reaches it as ``device``."""

    port: int
    ssh_config: Path


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Started by root, who alone may let users in; it sees the environment of this Python and no other."""
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text("ascii"), "ascii")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "sshd_config").write_text(
        f"ListenAddress {LOOPBACK}:{port}\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"SetEnv PATH={Path(sys.executable).parent}:{os.environ['PATH']}\n",
        "utf-8",
    )
    key = (folder / "host.pub").read_text("ascii")
    (folder / "known").write_text(f"[{LOOPBACK}]:{port} {key}", "ascii")
    (folder / "ssh_config").write_text(
        f"Host device\n  HostName {LOOPBACK}\n  Port {port}\n  User root\n  IdentityFile {folder / 'user'}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder / 'known'}\n  StrictHostKeyChecking yes\n"
        "  BatchMode yes\n  ControlMaster no\n",
        "utf-8",
    )
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _await(port, process)
            yield SshServer(port, folder / "ssh_config")
        finally:
            process.terminate()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("sshd did not start")
