import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from firmware.boards.board import find_board

ROOT = Path(__file__).parents[2]
DRAWINGS = sorted((ROOT / "docs/how-to").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
PIN_OF_GPIO = {17: 11, 27: 13}
"""Pins of the 40-pin header that trigger lines may be wired to."""


def words(drawing: str) -> str:
    root = ET.parse(ROOT / "docs/how-to" / drawing).getroot()  # noqa: S314 - our own file
    return "\n".join(text.text or "" for text in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.name)
def test_a_drawing_is_well_formed_says_what_it_is_and_loads_nothing(path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - our own file
    assert root.tag == f"{SVG}svg"
    assert (root.findtext(f"{SVG}title") or "").strip()
    assert not list(root.iter(f"{SVG}script"))
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.search(r"https?:|href|url\(", text) is None


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.name)
def test_nothing_is_drawn_outside_of_the_sheet(path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - our own file
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for line in root.iter(f"{SVG}polyline"):
        for x, y in re.findall(r"([\d.-]+),([\d.-]+)", line.attrib["points"]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    for text in root.iter(f"{SVG}text"):
        length = 0.6 * float(text.attrib["font-size"]) * len(text.text or "")
        start = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib["text-anchor"]]
        left = float(text.attrib["x"]) - start * length
        assert -5 <= left <= left + length <= width + 5, text.text


def test_all_drawings_are_there() -> None:
    names = {path.name for path in DRAWINGS}
    assert {"front-end.svg", "optics.svg", "wiring-mcp3208.svg"} < names
    assert {"wiring-ad7383-4.svg", "wiring-coprocessor.svg"} < names


def test_the_trigger_lines_are_drawn_where_the_board_file_has_them() -> None:
    board = find_board("pi-dlpc900-mcp3208")
    assert board.trigger is not None
    drawn = words("wiring-mcp3208.svg")
    page = (ROOT / "docs/how-to/wire-a-board.md").read_text("utf-8")
    for line, signal in (
        (board.trigger.advance_line, "TRIG_IN_1"),
        (board.trigger.exposure_line, "TRIG_OUT_2"),
    ):
        assert f"GPIO{line}" in drawn
        assert signal in drawn
        assert f"| {PIN_OF_GPIO[line]} | GPIO{line} | 330 Ω, then {signal} |" in page


def test_the_inputs_are_drawn_where_the_board_files_have_them() -> None:
    board = find_board("pi-dlpc900-mcp3208")
    assert board.arm_channels == (0, 1)
    assert "1 CH0" in words("wiring-mcp3208.svg")
    stream = find_board("pi-dlpc900-ad7383-4").converter
    assert stream is not None
    inputs = (stream.arm_plus_channel, stream.arm_minus_channel, stream.trigger_channel, stream.lamp_channel)
    page = (ROOT / "docs/how-to/wire-a-board.md").read_text("utf-8")
    for channel, signal in zip(inputs, ("arm +", "arm -", "TRIG_OUT_1", "lamp reference"), strict=True):
        assert channel is not None
        assert f"| AIN{'ABCD'[channel]}+ | {signal}" in page


def test_the_divider_keeps_the_trigger_below_the_reference() -> None:
    drawn = words("wiring-ad7383-4.svg")
    assert {"1.0 kΩ", "2.0 kΩ"} < set(drawn.splitlines())
    divided_v = 3.3 * 2.0 / (1.0 + 2.0)
    assert 2.1 < divided_v < find_board("pi-dlpc900-ad7383-4").sensor.vref_v


def test_the_co_processors_pins_are_those_of_its_firmware() -> None:
    source = (ROOT / "hardware/coproc/board.py").read_text("utf-8")
    found = re.search(r"^SCLK, CS, SDO, TRIGGER, SDI = ([\d, ]+)$", source, re.MULTILINE)
    assert found is not None
    drawn = words("wiring-coprocessor.svg")
    for name, number in zip(("SCLK", "CS", "SDO", "TRIGGER", "SDI"), found[1].split(", "), strict=True):
        assert re.search(rf"GP{number} +{name}$", drawn, re.MULTILINE), name
