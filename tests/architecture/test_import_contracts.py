"""Fence 1, static: import-linter's contracts, and that each goes red when it is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["lsi", "transport", "firmware", "edge_app", "training", "export", "host", "lab"]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def test_every_contract_is_kept(copied: Path) -> None:
    result = lint(copied)
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("edge_app/service.py", "import host.cli", "Nothing on the device can reach"),
        ("firmware/acquisition/scan.py", "import PIL", "Nothing on the device can reach"),
        ("lsi/units.py", "import torch", "Nothing on the device can reach"),
        ("transport/mqtt.py", "import firmware.acquisition.scan", "Device side is layered"),
        ("firmware/boards/board.py", "import edge_app.settings.config", "Device side is layered"),
        ("host/subscriber.py", "import firmware.acquisition.scan", "Host side never drives the rig"),
        ("host/subscriber.py", "import lab.demo", "Nobody imports the lab"),
        ("export/export_command.py", "import host.cli", "Export sees the trained model"),
        ("edge_app/service.py", "import firmware.sim.light", "Only the factory chooses the simulator"),
        ("edge_app/service.py", "import lsi.payload", "Only the policy builds an attribute payload"),
        ("edge_app/service.py", "import transport.mqtt", "Only the guarded link hands bytes"),
        ("edge_app/outlet.py", "import paho.mqtt.publish", "The device opens no connection of its own"),
        ("firmware/acquisition/scan.py", "import socket", "The device opens no connection of its own"),
        (
            "firmware/acquisition/scan.py",
            "def late():\n    import host.cli",
            "Nothing on the device can reach",
        ),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    copied: Path, module: str, statement: str, contract: str
) -> None:
    path = copied / module
    original = path.read_text("utf-8")
    path.write_text(f"{original}\n{statement}\n", "utf-8")
    try:
        result = lint(copied)
    finally:
        path.write_text(original, "utf-8")
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), result.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_every_init_is_empty(package: str) -> None:
    # What an __init__ imports runs with any import below it, and no contract counts that.
    for path in (ROOT / package).rglob("__init__.py"):
        assert path.read_text("utf-8") == "", path


@pytest.mark.parametrize("package", ["lsi", "transport", "firmware", "edge_app"])
def test_the_device_imports_nothing_by_name_at_run_time(package: str) -> None:
    # import-linter does not see importlib.import_module, __import__ or entry points.
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text("utf-8")
        for word in ("import_module", "__import__", "entry_points", "exec(", "eval("):
            assert word not in text, f"{path}: {word}"
