"""The simulated SPI nodes, served by a process of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.umockdev.spi_server import NO_GI

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "apt install umockdev gir1.2-umockdev-1.0 python3-gi"


class SpiNodes:
    """Runs programs of ``spi_programs`` before the simulated nodes."""

    def __init__(self, wrapper: str, folder: str) -> None:
        self._wrapper = wrapper
        self._environment = {**os.environ, "UMOCKDEV_DIR": folder}

    def run(self, program: str, node: str, *arguments: str) -> str:
        """What ``program`` found at ``/dev/node``, as JSON."""
        command = [self._wrapper, sys.executable, "-m", "tests.umockdev.spi_programs", program]
        result = subprocess.run(
            [*command, f"/dev/{node}", *arguments],
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="session")
def spi_nodes() -> Iterator[SpiNodes]:
    """Simulated nodes; without umockdev or PyGObject the test is skipped with what to install."""
    wrapper = shutil.which("umockdev-wrapper")
    if wrapper is None:
        pytest.skip(f"umockdev is not installed ({PACKAGES})")
    pytest.importorskip("spidev", reason="spidev is not installed (pip install 'lsi-edge[pi]')")
    server = subprocess.Popen(
        [wrapper, sys.executable, "-m", "tests.umockdev.spi_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        assert server.stdin is not None
        folder = server.stdout.readline().strip()
        if not folder and server.wait(timeout=30) == NO_GI:
            pytest.skip(f"PyGObject of this Python does not see umockdev ({PACKAGES})")
        assert folder, "the server did not start"
        yield SpiNodes(wrapper, folder)
        server.stdin.close()
        assert server.wait(timeout=30) == 0
