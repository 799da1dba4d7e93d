"""``Changes``: which bundle the service is to run, asked between two scans."""

from dataclasses import dataclass
from typing import Protocol

from edge_app.bundles.admission import Admitted
from edge_app.bundles.slot_table import Held
from firmware.rig import Rig
from lsi.command_documents import Reason, Refused, Reply
from lsi.errors import LsiError


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """What the slots hold besides the bundle that runs, for ``info``, ``update`` and ``health``.

    ``staged`` is also the bundle on trial; ``percentage`` tells how far that is, ``None`` without one.
    ``installed`` is the version that runs, or would without the trial. ``rejected`` is a bundle that
    the device went back from.
    """

    staged: Held | None = None
    installed: str | None = None
    rejected: Held | None = None
    percentage: int | None = None
    highest_epoch: int = 0
    downgrades: int = 0


class Changes(Protocol):
    """Where the service's bundle comes from. ``status`` may be called from any thread."""

    def due(self, rig: Rig) -> Admitted | None:
        """The bundle to go over to now, if there is one. May drive ``rig``: its masks are lost then."""
        ...

    def entered(self) -> None:
        """What ``due`` gave is in use from the next scan on."""
        ...

    def inferred(self) -> None:
        """A scan was encoded."""
        ...

    def missed(self, error: LsiError) -> None:
        """A scan could not be used."""
        ...

    def install(self) -> Reply:
        """Carry out the command ``update``."""
        ...

    def status(self) -> SlotStatus | None:
        """What to tell; ``None`` where there are no slots."""
        ...

    def close(self) -> None:
        """The service ends in good order."""
        ...


class Unchanging:
    """One bundle from start to stop."""

    def due(self, rig: Rig) -> Admitted | None:
        """None."""
        del rig
        return None

    def entered(self) -> None:
        """Nothing was."""

    def inferred(self) -> None:
        """Nobody counts."""

    def missed(self, error: LsiError) -> None:
        """Nobody counts."""

    def install(self) -> Reply:
        """There is nothing to install into."""
        return Refused(Reason.NOT_AVAILABLE)

    def status(self) -> SlotStatus | None:
        """Nothing."""
        return None

    def close(self) -> None:
        """Nothing is under way."""
