"""What an installed device takes on the disk: the wheel and what it needs, without buses of a real board.

Builds the wheel, installs it into a virtual environment of its own as the install script does, and
counts. The packages come from pip's index or cache. The floor is an empty environment.

    python -m benchmarks.footprint --json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report

ROOT: Final = Path(__file__).resolve().parents[1]
GOAL_MB: Final = 200.0
GOAL_PACKAGES: Final = 20
"""Bounds against growth: nothing new comes to the device unnoticed."""
BYTES_PER_MB: Final = 1e6
_LIST: Final = """
import importlib.metadata as metadata, json
def size(found):
    paths = (found.locate_file(file) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
print(json.dumps({found.name: size(found) for found in metadata.distributions()}))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--python", default=sys.executable, help="of the device (default: this one)")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = _measured(Path(folder), parsed.python)
    print(report("footprint", figures, as_json=parsed.json))
    return 0


def _measured(folder: Path, python: str) -> list[Figure]:
    environment = folder / "environment"
    _run(python, "-m", "venv", str(environment))
    inside = str(environment / "bin/python")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    wheel = next(folder.glob("*.whl"))
    _run(inside, "-m", "pip", "--disable-pip-version-check", "install", str(wheel))
    _run(inside, "-m", "pip", "uninstall", "--yes", "pip", "setuptools")
    sizes: dict[str, int] = json.loads(_run(inside, "-I", "-c", _LIST))
    return _figures(sizes, _bytes_below(environment), wheel.stat().st_size)


def _figures(sizes: dict[str, int], total: int, wheel: int) -> list[Figure]:
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    installed_mb = total / BYTES_PER_MB
    return [
        Figure(
            name="installed_mb",
            value=installed_mb,
            unit="MB",
            goal=f"at most {GOAL_MB:g}",
            holds=installed_mb <= GOAL_MB,
            beside={f"{name}_mb": size / BYTES_PER_MB for name, size in largest},
        ),
        Figure(
            name="packages",
            value=len(sizes),
            unit="packages",
            goal=f"at most {GOAL_PACKAGES}",
            holds=len(sizes) <= GOAL_PACKAGES,
            beside={"declared": 5},
        ),
        Figure(
            name="wheel_mb",
            value=wheel / BYTES_PER_MB,
            unit="MB",
            goal=None,
            holds=None,
            beside={"installed_mb": sizes["lsi-edge"] / BYTES_PER_MB},
        ),
    ]


def _bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours


if __name__ == "__main__":
    sys.exit(main())
