import json
import re
from pathlib import Path
from typing import Any

import pytest

from firmware.boards.board import find_board, shipped_boards
from firmware.boards.board_parts import CONVERTERS
from firmware.buses.spi_ioctl import alignment_bytes, buffered_bytes

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / page
    for page in (
        "how-to/wire-a-board.md",
        "how-to/optics.md",
        "reference/board-file.md",
        "reference/bill-of-materials.md",
        "explanation/light-safety.md",
    )
]
# Pages that are written by others; a link to them is right before they are there.
ELSEWHERE = {"calibrate.md", "flash-the-coprocessor.md"}
SCHEMA: dict[str, Any] = json.loads((ROOT / "lsi/schemas/board.schema.json").read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        place = page if not name else (page.parent / name).resolve()
        if place.name in ELSEWHERE and not place.exists():
            continue
        assert place.is_file(), target
        assert not anchor or anchor in anchors(place), target


def test_every_key_of_the_schema_is_explained() -> None:
    page = (ROOT / "docs/reference/board-file.md").read_text("utf-8")
    for section, rules in SCHEMA["properties"].items():
        keys = rules.get("properties", {})
        assert f"## {section}\n" in page if keys else f"`{section}`" in page
        chapter = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
        assert {key for key in keys if f"`{key}`" not in chapter} == set(), section


def test_every_board_converter_and_mode_is_named() -> None:
    page = (ROOT / "docs/reference/board-file.md").read_text("utf-8")
    named = [*shipped_boards(), *CONVERTERS]
    assert [name for name in named if f"`{name}`" not in page] == []
    for name in shipped_boards():
        assert f"| `{name}` | {find_board(name).mode} |" in page
    for name, kind in CONVERTERS.items():
        assert re.search(rf"`{name}`.*\| {kind.adc_bits} \|", page), name


def test_every_real_board_can_be_wired_and_bought() -> None:
    real = [name for name in shipped_boards() if not find_board(name).simulated]
    wiring = (ROOT / "docs/how-to/wire-a-board.md").read_text("utf-8")
    parts = (ROOT / "docs/reference/bill-of-materials.md").read_text("utf-8")
    assert [name for name in real if f"`{name}`" not in wiring or f"`{name}`" not in parts] == []


def test_expected_rates_are_those_of_the_exposures() -> None:
    page = (ROOT / "docs/how-to/wire-a-board.md").read_text("utf-8")
    for name in ("pi-dlpc900-mcp3208", "pi-dlpc900-ad7383-4", "pi-coproc"):
        row = re.search(rf"^\| \[`{name}`\]\S* \| (?:about )?([\d,]+) \|", page, re.MULTILINE)
        assert row is not None
        rate_hz = 1e9 / find_board(name).plan.exposure_ns
        assert 0.85 * rate_hz <= int(row[1].replace(",", "")) <= rate_hz


def test_prices_are_classes() -> None:
    parts = (ROOT / "docs/reference/bill-of-materials.md").read_text("utf-8")
    assert re.search(r"[$€£]|\bEUR\b|\bUSD\b", parts) is None
    rows = [row.split("|")[2].strip() for row in parts.splitlines() if row.startswith("| ")]
    assert {"low", "mid", "high"} <= set(rows)


class TestRules:
    TEXT = (ROOT / "hardware/udev/70-lsi.rules").read_text("utf-8")

    def test_name_the_controller_as_the_driver_looks_for_it(self) -> None:
        assert 'ATTRS{idVendor}=="0451", ATTRS{idProduct}=="c900"' in self.TEXT

    def test_open_nothing_to_everybody(self) -> None:
        rules = [line for line in self.TEXT.splitlines() if line and not line.startswith("#")]
        assert len(rules) == 4
        for rule in rules:
            assert re.search(r'GROUP="(plugdev|spi|gpio|dialout)", MODE="0660"', rule), rule

    def test_are_well_formed(self) -> None:
        key = r'[A-Z]+(\{[A-Za-z_]+\})?(==|=)"[^"]*"'
        for line in self.TEXT.splitlines():
            assert not line or line.startswith("#") or re.fullmatch(rf"{key}(, {key})*", line), line


def test_the_snippet_of_the_firmware_configuration_switches_spi_on() -> None:
    text = (ROOT / "hardware/overlays/lsi-config.txt").read_text("utf-8")
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert settings == ["dtparam=spi=on"]
    needed = buffered_bytes(511, CONVERTERS["ad7383-4"].frame_bits // 8, alignment_bytes("aarch64"))
    assert "spidev.bufsiz=65536" in text
    assert 65536 // 2 < needed <= 65536
