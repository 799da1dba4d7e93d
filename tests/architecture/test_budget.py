"""The budget of the code: short functions, short files, everything annotated (by ruff and mypy)."""

import ast
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ["lsi", "transport", "hardware", "firmware", "edge_app"]
PACKAGES = [*DEVICE, "training", "export", "host", "lab", "benchmarks"]
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def lengths() -> dict[str, int]:
    found = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                name = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                found[name] = node.end_lineno - node.lineno + 1
    return found


def test_no_function_is_longer_than_sixty_lines() -> None:
    assert {name: length for name, length in lengths().items() if length > 60} == {}


def test_functions_are_short_in_the_middle() -> None:
    assert median(lengths().values()) <= 10


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = {str(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in long.items() if length > 400} == {}


def test_no_room_is_a_drawer_for_leftovers() -> None:
    words = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
    assert [path for path in FILES if words & set(path.stem.split("_"))] == []
