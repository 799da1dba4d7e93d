"""A PostgreSQL server of one's own for a test or a benchmark, on a unix socket and no port."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsi.errors import ConfigError

DEBIAN_BINARIES: Final = Path("/usr/lib/postgresql")
UNPRIVILEGED: Final = "nobody"
"""The server refuses to run as root."""

USER: Final = "lsi"
CONFIG: Final = """
listen_addresses = ''
shared_buffers = 32MB
max_connections = 20
"""
"""No port at all. Everything else, durability first, as the package has it."""


@dataclass(frozen=True, slots=True)
class LocalPostgres:
    """A running server; ``binaries`` is where its programs lie."""

    folder: Path
    binaries: Path

    @property
    def url(self) -> str:
        """What SQLAlchemy and ``lsi record`` take."""
        return f"postgresql://{USER}@/postgres?host={self.folder}"

    def stop(self) -> None:
        """Shut the server down; who is connected is cut off."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it, or start it again."""
        self._control("start", "-l", str(self.folder / "log"), "-o", f"-k {self.folder}")

    def _control(self, verb: str, *options: str) -> None:
        _run([self.binaries / "pg_ctl", "-w", "-D", self.folder / "data", verb, *options], self.folder)


def find_postgres() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``, Debian's newest first, or ``None``."""
    found = sorted(DEBIAN_BINARIES.glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    beside = shutil.which("pg_ctl")
    return Path(beside).resolve().parent if beside else None


@contextlib.contextmanager
def local_postgres(binaries: Path, settings: str = "") -> Iterator[LocalPostgres]:
    """A server with an empty database for as long as the context lasts; ``settings`` go into its file.

    Raises:
        ConfigError: It did not start; the message holds what it said.
    """
    with tempfile.TemporaryDirectory(prefix="lsi-pg-", dir="/tmp") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        options = ["-U", USER, "--auth=trust", "--encoding=UTF8", "--no-locale", "-D", str(folder / "data")]
        _run([binaries / "initdb", *options], folder)
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.write(CONFIG + settings)
        server = LocalPostgres(folder, binaries)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(ConfigError):  # a test may have stopped it
                server.stop()


def _run(command: list[str | Path], folder: Path) -> None:
    drop = ["runuser", "-u", UNPRIVILEGED, "--"] if os.getuid() == 0 else []
    said = folder / "said"
    with said.open("wb") as out:
        # To a file: the server keeps what it is given open, so a pipe would never end.
        done = subprocess.run(  # noqa: S603 - our own command
            [*drop, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            check=False,
        )
    if done.returncode:
        text = said.read_text("utf-8", errors="replace").strip()[-500:]
        raise ConfigError(f"{Path(command[0]).name}: {text}", hint="apt install postgresql")
