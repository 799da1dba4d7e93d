import argparse
import json
from pathlib import Path

import pytest

from edge_app.cli_commands.doctor_command import add_doctor, report
from edge_app.cli_commands.doctor_facts import HostFacts
from firmware.boards.board import find_board
from lsi.errors import BoardConfigError

BARE = HostFacts(
    root=Path("/nonexistent"),
    user="pi",
    groups=frozenset(),
    kernel="6.1.0",
    gpio_chips=(),
    packages={},
    rtprio_max=0,
    memlock_bytes=0,
    is_clock_synced=True,
    machine="aarch64",
    is_folder_writable=True,
)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_doctor(parser.add_subparsers())
    parsed = parser.parse_args(["doctor", *arguments])
    code: int = parsed.command(parsed)
    return code


def test_a_simulated_board_needs_nothing_of_any_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--board", "sim-mcp3208") == 0
    assert capsys.readouterr().out.endswith("board sim-mcp3208: nothing stops it\n")


def test_a_survey_ends_well_where_nothing_is_plugged_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(BARE, None, as_json=False) == 0
    assert "warning  controller         no DLPC900 on USB (0451:c900)" in capsys.readouterr().out


def test_a_board_that_is_not_there_ends_with_1_and_a_fix_for_each_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report(BARE, find_board("pi-coproc"), as_json=False) == 1
    lines = capsys.readouterr().out.splitlines()
    problems = [index for index, line in enumerate(lines) if line.startswith("PROBLEM")]
    assert len(problems) == 4
    assert all(lines[index + 1].strip().startswith("fix: ") for index in problems)
    assert lines[-1] == "board pi-coproc: 4 problems"


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(BARE, find_board("pi-dlpc900-mcp3208"), as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["board"] == "pi-dlpc900-mcp3208"
    assert document["healthy"] is False
    assert {check["verdict"] for check in document["checks"]} == {"ok", "warning", "problem"}


def test_an_unknown_board_is_said() -> None:
    with pytest.raises(BoardConfigError, match="no shipped board 'pi'"):
        run("--board", "pi")
