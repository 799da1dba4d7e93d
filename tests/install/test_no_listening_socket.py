"""A running device listens on nothing: what the kernel says about its sockets."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.broker import free_port
from lab.signed_copy import SignedCopy

ROOT = Path(__file__).parents[2]
LISTEN = "0A"
"""State of /proc/net/tcp (include/net/tcp_states.h)."""
TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")


def open_doors(pid: int) -> list[str]:
    """Sockets of a process on which a stranger could reach it: TCP that listens, and all UDP and raw."""
    inodes = {
        target.removeprefix("socket:[").removesuffix("]")
        for target in _targets(pid)
        if target.startswith("socket:[")
    }
    doors = []
    for table in TABLES:
        for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
            (
                _,
                local,
                _,
                state,
                *_,
            ) = line.split()
            if line.split()[9] in inodes and (state == LISTEN or not table.startswith("tcp")):
                doors.append(f"{table} {local}")
    return doors


def _targets(pid: int) -> list[str]:
    targets = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    return targets


@contextmanager
def device(signed: SignedCopy, tmp_path: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    config = tmp_path / "config.toml"
    config.write_text(
        f'device_id = "quiet"\nboard = "sim-mcp3208"\nbundle = {json.dumps(str(signed.bundle))}\n'
        f"state = {json.dumps(str(tmp_path))}\n"
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
        f'[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\ntls = {{ mode = "off" }}\n'
        "[scan]\ninterval_s = 0.01\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "edge_app.cli", "run", "--config", str(config), "--simulate", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_device_that_prints_opens_no_door(signed: SignedCopy, tmp_path: Path) -> None:
    with device(signed, tmp_path, "--print") as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if "/attr " in line)
        assert open_doors(process.pid) == []


def test_a_device_that_looks_for_its_broker_opens_no_door(signed: SignedCopy, tmp_path: Path) -> None:
    with device(signed, tmp_path) as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if " away " in line)
        assert open_doors(process.pid) == []


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_door_would_be_seen(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as door:
        door.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            assert open_doors(os.getpid()) == []
            door.listen()
        assert len(open_doors(os.getpid())) == 1
