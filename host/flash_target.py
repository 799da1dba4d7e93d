"""Where a bundle can be flashed to, as values: this machine, a mounted card, a device behind ssh."""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from lsi.errors import FlashError

LOCAL: Final = "local"
_SSH: Final = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?(?P<host>[A-Za-z0-9\[][A-Za-z0-9:.\]_-]*?)(?::(?P<port>[0-9]{1,5}))?/?"
)
_FORMS: Final = "local, a folder such as /media/me/rootfs, or ssh://user@host[:port]."
_KEEP_ALIVE: Final = (
    "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
"""A cable that is pulled is noticed within a quarter of a minute, not at the end of TCP's patience."""


@dataclass(frozen=True, slots=True)
class EdgeCommand:
    """How ``lsi-edge`` is called on devices.

    ``words`` may begin with ``sudo -n``. ``config`` is the device's configuration file, where it is
    not the usual one; ``ssh_config`` is ssh's on this machine.
    """

    words: tuple[str, ...] = ("lsi-edge",)
    config: str | None = None
    ssh_config: Path | None = None


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A device on which ``lsi-edge`` can be called: ``prefix`` is ssh and its words, or nothing."""

    label: str
    edge: EdgeCommand = field(default_factory=EdgeCommand)
    prefix: tuple[str, ...] = ()

    def bundle_command(self, *words: str) -> list[str]:
        """The command line for ``lsi-edge bundle WORDS --json``."""
        config = [] if self.edge.config is None else ["--config", self.edge.config]
        command = [*self.edge.words, "--log-level", "ERROR", "bundle", *words, "--json", *config]
        # ssh hands one line to the shell over there.
        return [*self.prefix, shlex.join(command)] if self.prefix else command


@dataclass(frozen=True, slots=True)
class CardTarget:
    """The root file system of a device's memory card, mounted at ``folder``."""

    label: str
    folder: Path


Target: TypeAlias = CommandTarget | CardTarget


def target_of(destination: str, edge: EdgeCommand) -> Target:
    """What ``destination`` names.

    Raises:
        FlashError: None of the forms.
    """
    if destination == LOCAL:
        return CommandTarget("this machine", _local(edge))
    if destination.startswith("ssh:"):
        return CommandTarget(destination, edge, tuple(_ssh(destination, edge)))
    if destination and Path(destination).is_dir():
        return CardTarget(destination, Path(destination))
    raise FlashError(f"'{destination}' is no device.", hint=_FORMS)


def _local(edge: EdgeCommand) -> EdgeCommand:
    """The ``lsi-edge`` of the PATH, or the one beside the Python that runs."""
    *before, program = edge.words
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        raise FlashError(f"There is no {program} here.", hint="pip install lsi-edge; or --edge-command PATH.")
    return EdgeCommand((*before, found), edge.config)


def _ssh(destination: str, edge: EdgeCommand) -> Sequence[str]:
    found = _SSH.fullmatch(destination)
    if found is None:
        raise FlashError(f"'{destination}' is no address of a device.", hint=_FORMS)
    config = () if edge.ssh_config is None else ("-F", str(edge.ssh_config))
    port = () if found["port"] is None else ("-p", found["port"])
    user = () if found["user"] is None else ("-l", found["user"])
    return ["ssh", *config, *_KEEP_ALIVE, *port, *user, "--", found["host"].strip("[]")]
