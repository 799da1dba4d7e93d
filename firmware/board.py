"""``Board``: the electrician's file ``hardware/boards/*.toml``, checked and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from lsi.errors import BoardConfigError
from lsi.measurement import ScanPlan
from lsi.schema import check
from lsi.sensor import SensorModel
from lsi.toml_file import read_toml
from lsi.units import us_to_ns

SIMULATED_BOARD: Final = "sim-mcp3208"
"""The shipped board whose controller and converter are simulated."""


@dataclass(frozen=True, slots=True)
class ModulatorWiring:
    """The DMD and how masks are laid on its mirrors."""

    dmd: str
    mirror_scale_px: int


@dataclass(frozen=True, slots=True)
class ConverterWiring:
    """The converter, its bus speed and which input is which arm."""

    spi_hz: int
    arm_plus_channel: int
    arm_minus_channel: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What only a simulated board has to be told.

    ``waiting`` is what a mask does after its exposure until the next trigger.
    """

    waiting: Literal["hold", "dark"]
    spi_overhead_ns: int
    seed: int


@dataclass(frozen=True, slots=True)
class Board:
    """One board: parts, wires, physics, timing."""

    name: str
    provides: frozenset[str]
    modulator: ModulatorWiring
    converter: ConverterWiring
    sensor: SensorModel
    plan: ScanPlan
    simulation: Simulation | None

    @property
    def simulated(self) -> bool:
        """Whether controller and converter are simulated."""
        return self.simulation is not None


def find_board(name: str) -> Board:
    """The shipped board called ``name``, or the board file it is a path of.

    Raises:
        BoardConfigError: See :func:`load_board`; an unknown name lists the known ones.
    """
    if name.endswith(".toml"):
        return load_board(Path(name))
    shipped = resources.files("hardware") / "boards"
    known = sorted(
        file.name.removesuffix(".toml") for file in shipped.iterdir() if file.name.endswith(".toml")
    )
    if name not in known:
        found = f"There is no shipped board '{name}'."
        raise BoardConfigError(found, hint=f"one of {', '.join(known)}, or the path of a .toml file.")
    with resources.as_file(shipped / f"{name}.toml") as path:
        return load_board(path)


def load_board(path: Path) -> Board:
    """Read a board file.

    Raises:
        BoardConfigError: Not readable, not TOML, or a key that is unknown, missing or
            wrong; the message names file and key.
    """
    hint = "a file like hardware/boards/sim-mcp3208.toml."
    document = read_toml(path, "Board file", error=BoardConfigError, hint=hint)
    return parse_board(document, str(path))


def parse_board(document: Mapping[str, Any], source: str) -> Board:
    """Check a parsed board file; see :func:`load_board`."""
    check(document, "board", error=BoardConfigError, source=source)
    if document["simulated"] != ("simulation" in document):
        found = f"{source}: simulated = {str(document['simulated']).lower()} does not fit its sections."
        raise BoardConfigError(found, hint="a section [simulation] exactly when simulated = true.")
    return _from_document(document, source)


def _from_document(document: Mapping[str, Any], source: str) -> Board:
    modulator, converter = document["modulator"], document["converter"]
    if converter["arm_plus_channel"] == converter["arm_minus_channel"]:
        raise BoardConfigError(f"{source}: both arms are on one channel.", hint="two different channels.")
    return Board(
        name=document["name"],
        provides=frozenset(document["provides"]),
        modulator=ModulatorWiring(modulator["dmd"], modulator["mirror_scale_px"]),
        converter=ConverterWiring(
            converter["spi_hz"], converter["arm_plus_channel"], converter["arm_minus_channel"]
        ),
        sensor=SensorModel(**document["sensor"]),
        plan=_plan(document["scan"], source),
        simulation=_simulation(document.get("simulation")),
    )


def _plan(scan: Mapping[str, int], source: str) -> ScanPlan:
    try:
        return ScanPlan(
            exposure_ns=us_to_ns(scan["exposure_us"]),
            settle_ns=us_to_ns(scan["settle_us"]),
            blocks_per_pattern=scan["blocks_per_pattern"],
            trigger_timeout_ns=us_to_ns(scan["trigger_timeout_us"]),
        )
    except ValueError as cause:
        raise BoardConfigError(f"{source}: scan: {cause}.", hint="settle_us below exposure_us.") from cause


def _simulation(document: Mapping[str, Any] | None) -> Simulation | None:
    if document is None:
        return None
    return Simulation(document["waiting"], us_to_ns(document["spi_overhead_us"]), document["seed"])
