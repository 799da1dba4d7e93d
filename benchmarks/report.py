"""The one form in which every benchmark reports (``docs/reference/benchmarks.md``)."""

import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    ``goal`` is in words; ``holds`` is ``None`` where there is no goal. ``beside`` holds the
    trivial predictor, the peer or the floor measured in the same run.
    """

    name: str
    value: float
    unit: str
    goal: str | None
    holds: bool | None
    beside: dict[str, float]


def machine() -> str:
    """Processor, number of cores this process may use, system and Python."""
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {cores} cores, {system}, Python {platform.python_version()}"


def report(benchmark: str, figures: Sequence[Figure], *, as_json: bool) -> str:
    """One JSON object, or a table for people."""
    document = heading(benchmark) | {"figures": [asdict(figure) for figure in figures]}
    return json.dumps(document, indent=2) if as_json else _table(document["machine"], figures)


def heading(benchmark: str) -> dict[str, Any]:
    """What every result begins with: by which command it was made, when and where."""
    return {
        "benchmark": benchmark,
        "command": " ".join(["python -m", f"benchmarks.{benchmark}", *map(_shown, sys.argv[1:])]),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
    }


def _table(where: object, figures: Sequence[Figure]) -> str:
    lines = [f"{where}", f"{'figure':32} {'value':>10} {'unit':14} {'goal':28} beside"]
    for figure in figures:
        beside = ", ".join(f"{name} {value:.4g}" for name, value in figure.beside.items())
        goal = f"{figure.goal}: {'holds' if figure.holds else 'MISSED'}" if figure.goal else "-"
        lines.append(f"{figure.name:32} {figure.value:10.4g} {figure.unit:14} {goal:28} {beside}")
    return "\n".join(lines)


def _shown(argument: str) -> str:
    """Data files by name: where they lie on this machine is nobody's business."""
    return Path(argument).name if argument.endswith((".npz", ".lsib", ".svg")) else argument


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.processor() or "unknown processor"


def resident_mb(pid: int | str = "self") -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
