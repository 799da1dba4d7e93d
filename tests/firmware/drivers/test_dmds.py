"""What is known of each DMD."""

import pytest

from firmware.drivers.dmds import DMDS, dmd_named, name_of_type
from firmware.sim.dlpc900_memory import DMDS as SIMULATED
from lsi.errors import BoardConfigError


def test_sizes_are_those_of_the_data_sheets() -> None:
    sizes = {name: (dmd.width_px, dmd.height_px) for name, dmd in DMDS.items()}
    assert sizes == {
        "DLP6500": (1920, 1080),
        "DLP9000": (2560, 1600),
        "DLP670S": (2716, 1600),
        "DLP500YX": (2048, 1200),
        "DLP5500": (1024, 768),
    }


def test_entries_of_one_sequence_are_400_but_960_on_a_dlp5500() -> None:
    # DLPU018J, 0x1A31
    assert {name: dmd.patterns for name, dmd in DMDS.items()} == {
        "DLP6500": 400,
        "DLP9000": 400,
        "DLP670S": 400,
        "DLP500YX": 400,
        "DLP5500": 960,
    }


def test_the_memory_holds_as_many_patterns_as_the_controllers_data_sheet_says() -> None:
    # DLPS037H
    held = {name: dmd.memory_patterns for name, dmd in DMDS.items()}
    assert held == {"DLP6500": 400, "DLP9000": 480, "DLP670S": 400, "DLP500YX": 800, "DLP5500": 1024}


@pytest.mark.parametrize("name", sorted(DMDS))
def test_driver_and_simulation_know_the_same_dmds(name: str) -> None:
    ours, simulated = DMDS[name], SIMULATED[name]
    assert (ours.type_code, ours.width_px, ours.height_px) == (
        simulated.code,
        simulated.width_px,
        simulated.height_px,
    )
    assert ours.half_widths_px == (ours.width_px // simulated.controllers,) * simulated.controllers


def test_an_unknown_dmd_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(BoardConfigError, match="DLP5500, DLP6500"):
        dmd_named("DLP0000")


def test_a_type_has_a_name_and_an_unlisted_one_its_number() -> None:
    # 0x0206, byte 0
    assert [name_of_type(code) for code in range(1, 6)] == [
        "DLP6500",
        "DLP9000",
        "DLP670S",
        "DLP500YX",
        "DLP5500",
    ]
    assert name_of_type(1) == "DLP6500"
    assert name_of_type(9) == "unlisted type 9"
