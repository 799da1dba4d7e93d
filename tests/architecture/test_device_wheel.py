"""Fence 3, physical: the device's wheel holds the device's packages and nothing else."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {"lsi", "transport", "firmware", "edge_app", "hardware"}
SUFFIXES = {".py", ".typed", ".json", ".toml", ".rules", ".txt", ".svg", ".service", ".conf"}


def build_wheel(tree: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def strangers(wheel: Path) -> list[str]:
    """Files of the wheel that do not belong on a device."""
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    return sorted(
        str(name)
        for name in names
        if not name.parts[0].endswith(".dist-info")
        and (name.parts[0] not in ALLOWED or name.suffix not in SUFFIXES)
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("wheel") / "tree"
    ignored = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", "dist", "checkpoints")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def test_the_device_wheel_holds_five_packages_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    wheel = build_wheel(tree, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        required = archive.read(
            next(name for name in archive.namelist() if name.endswith("METADATA"))
        ).decode()
    assert strangers(wheel) == []
    assert {top for top in tops if not top.endswith(".dist-info")} == ALLOWED
    needs = [
        line for line in required.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    named = {re.split(r"[<>=]", line.split()[1])[0].lower() for line in needs}
    assert named == {"ai-edge-litert", "cryptography", "jsonschema", "numpy", "paho-mqtt"}


@pytest.mark.parametrize("stray", ["host/decoder.py", "lsi/face.png", "edge_app/weights.npz"])
def test_the_fence_goes_red_when_something_else_is_packed(tree: Path, tmp_path: Path, stray: str) -> None:
    path = tree / stray
    path.write_bytes(b"")
    declared = (tree / "pyproject.toml").read_text("utf-8")
    (tree / "pyproject.toml").write_text(
        declared.replace('"hardware"]\n', '"hardware", "host"]\n', 1), "utf-8"
    )
    try:
        found = strangers(build_wheel(tree, tmp_path))
    finally:
        path.unlink()
        (tree / "pyproject.toml").write_text(declared, "utf-8")
    assert stray in found
