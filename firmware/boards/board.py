"""``Board``: the electrician's file ``hardware/boards/*.toml``, checked and frozen."""

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from firmware.boards.board_parts import (
    CONVERTERS,
    Board,
    ConverterWiring,
    CoprocessorWiring,
    ModulatorWiring,
    ScanMode,
    SelftestLimits,
    Simulation,
    TriggerWiring,
)
from firmware.boards.board_rules import check_board
from lsi.errors import BoardConfigError
from lsi.measurement import ArmLayout, ScanPlan
from lsi.schema import check, load_schema
from lsi.sensor import SensorModel
from lsi.toml_file import read_toml
from lsi.units import NS_PER_S, us_to_ns

__all__ = [
    "SIMULATED_BOARD",
    "Board",
    "ConverterWiring",
    "CoprocessorWiring",
    "ModulatorWiring",
    "ScanMode",
    "SelftestLimits",
    "Simulation",
    "TriggerWiring",
    "find_board",
    "load_board",
    "parse_board",
    "shipped_boards",
]

SIMULATED_BOARD: Final = "sim-mcp3208"
"""The shipped board whose controller and converter are simulated."""

Section = Mapping[str, Any]


def shipped_boards() -> tuple[str, ...]:
    """Names of the boards that come with the package, in order."""
    files = (resources.files("hardware") / "boards").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def find_board(name: str) -> Board:
    """The shipped board called ``name``, or the board file it is a path of.

    Raises:
        BoardConfigError: See :func:`load_board`; an unknown name lists the known ones.
    """
    if name.endswith(".toml"):
        return load_board(Path(name))
    known = shipped_boards()
    if name not in known:
        found = f"There is no shipped board '{name}'."
        raise BoardConfigError(found, hint=f"one of {', '.join(known)}, or the path of a .toml file.")
    with resources.as_file(resources.files("hardware") / "boards" / f"{name}.toml") as path:
        return load_board(path)


def load_board(path: Path) -> Board:
    """Read a board file.

    Raises:
        BoardConfigError: Not readable, not TOML, a key that is unknown, missing or wrong, or
            sections that do not fit together; the message names file and key.
    """
    hint = "a file like hardware/boards/sim-mcp3208.toml."
    document = read_toml(path, "Board file", error=BoardConfigError, hint=hint)
    return parse_board(document, str(path))


def parse_board(document: Section, source: str) -> Board:
    """Check a parsed board file; see :func:`load_board`."""
    check(document, "board", error=BoardConfigError, source=source)
    _check_numbers(document, source)
    if document["simulated"] != ("simulation" in document):
        found = f"{source}: simulated = {str(document['simulated']).lower()} does not fit its sections."
        raise BoardConfigError(found, hint="a section [simulation] exactly when simulated = true.")
    board = _from_document(document, source)
    check_board(board, source)
    return board


def _check_numbers(document: Section, source: str) -> None:
    """JSON Schema takes 1.0 for an integer, and cannot tell that NaN is out of every range."""
    sections = load_schema("board")["properties"]
    for name, section in document.items():
        if not isinstance(section, Mapping):
            continue
        for key, value in section.items():
            whole = sections[name]["properties"][key].get("type") != "number"
            if isinstance(value, float) and (whole or not math.isfinite(value)):
                wanted = "a whole number, without a point." if whole else "a finite number."
                raise BoardConfigError(f"{source}: {name}.{key} is {value}.", hint=wanted)


def _from_document(document: Section, source: str) -> Board:
    scan = document["scan"]
    return Board(
        name=document["name"],
        provides=frozenset(document["provides"]),
        modulator=ModulatorWiring(**document["modulator"]),
        converter=_converter(document.get("converter")),
        trigger=_trigger(document.get("trigger")),
        coprocessor=_coprocessor(document.get("coprocessor")),
        sensor=SensorModel(**document["sensor"]),
        plan=_plan(scan, source),
        mode=ScanMode(scan["mode"]),
        layout=ArmLayout(scan.get("arms", ArmLayout.TWO)),
        trimmed_count=scan.get("trimmed_samples", 0),
        checks_drift=scan.get("drift_check", False),
        dark_max_age_ns=round(scan.get("dark_max_age_s", 0) * NS_PER_S),
        limits=SelftestLimits(**document["selftest"]),
        simulation=_simulation(document.get("simulation")),
    )


def _converter(section: Section | None) -> ConverterWiring | None:
    if section is None:
        return None
    defaults = {"device": None, "spi_mode": CONVERTERS[section["kind"]].spi_mode}
    return ConverterWiring(**{**defaults, **section})


def _trigger(section: Section | None) -> TriggerWiring | None:
    if section is None:
        return None
    return TriggerWiring(**{**section, "chip_labels": tuple(section["chip_labels"])})


def _coprocessor(section: Section | None) -> CoprocessorWiring | None:
    if section is None:
        return None
    return CoprocessorWiring(**{"device": None, **section})


def _plan(scan: Section, source: str) -> ScanPlan:
    try:
        return ScanPlan(
            exposure_ns=us_to_ns(scan["exposure_us"]),
            settle_ns=us_to_ns(scan["settle_us"]),
            samples_per_pattern=scan["samples_per_pattern"],
            trigger_timeout_ns=us_to_ns(scan["trigger_timeout_us"]),
        )
    except ValueError as cause:
        raise BoardConfigError(f"{source}: scan: {cause}.", hint="settle_us below exposure_us.") from cause


def _simulation(section: Section | None) -> Simulation | None:
    if section is None:
        return None
    return Simulation(section["waiting"], us_to_ns(section.get("spi_overhead_us", 0)), section["seed"])
