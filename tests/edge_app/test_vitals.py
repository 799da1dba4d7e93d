"""What the kernel of a Pi tells about its temperature and its power, as files."""

from pathlib import Path

import pytest

from edge_app.vitals import Vitals, read_vitals
from lsi.status import Throttling

ALL = frozenset(Throttling)


def board(
    sys: Path, *, zone: str = "cpu-thermal", temp: str = "48687\n", throttled: str | None = None
) -> Path:
    folder = sys / "class/thermal/thermal_zone0"
    folder.mkdir(parents=True)
    (folder / "type").write_text(f"{zone}\n", "ascii")
    (folder / "temp").write_text(temp, "ascii")
    if throttled is not None:
        firmware = sys / "devices/platform/soc/soc:firmware"
        firmware.mkdir(parents=True)
        (firmware / "get_throttled").write_text(throttled, "ascii")
    return sys


def test_a_board_that_tells_nothing(tmp_path: Path) -> None:
    assert read_vitals(tmp_path) == Vitals()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("0\n", frozenset()),
        ("1\n", {Throttling.UNDER_VOLTAGE}),
        ("2\n", {Throttling.FREQUENCY_CAPPED}),
        ("4\n", {Throttling.THROTTLED}),
        ("8\n", {Throttling.SOFT_TEMPERATURE_LIMIT}),
        ("f\n", ALL),
        ("50005\n", {Throttling.UNDER_VOLTAGE, Throttling.THROTTLED}),
        ("50000\n", frozenset()),  # once since the start, and no more
        ("what\n", frozenset()),
        ("", frozenset()),
    ],
)
def test_a_pi_tells_what_slows_it_down_now(tmp_path: Path, word: str, told: set[Throttling]) -> None:
    vitals = read_vitals(board(tmp_path, throttled=word))
    assert vitals == Vitals(48.687, frozenset(told))


def test_the_firmware_node_may_lie_one_level_higher(tmp_path: Path) -> None:
    folder = tmp_path / "devices/platform/soc:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text("1\n", "ascii")
    assert read_vitals(tmp_path).throttled == {Throttling.UNDER_VOLTAGE}


@pytest.mark.parametrize(
    ("zone", "temp"), [("acpitz", "48687"), ("cpu-thermal", "hot"), ("cpu-thermal", "-99000")]
)
def test_no_temperature_rather_than_a_wrong_one(tmp_path: Path, zone: str, temp: str) -> None:
    assert read_vitals(board(tmp_path, zone=zone, temp=temp)).temperature_c is None


def test_the_processor_may_be_another_zone_than_the_first(tmp_path: Path) -> None:
    board(tmp_path, zone="gpu-thermal", temp="70000")
    folder = tmp_path / "class/thermal/thermal_zone1"
    folder.mkdir()
    (folder / "type").write_text("cpu_thermal\n", "ascii")
    (folder / "temp").write_text("51000\n", "ascii")
    assert read_vitals(tmp_path).temperature_c == 51.0
