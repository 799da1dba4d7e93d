"""``lsi-edge calibrate`` on the simulated board."""

import argparse
import datetime as dt
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import edge_app.cli_commands.calibrate_command as command
from edge_app.cli_commands.calibrate_command import add_calibrate
from edge_app.rig.device_rig import shown_patterns
from edge_app.rig.rig_lock import rig_lock
from firmware.calibration.bench_light import BenchLight
from lsi.errors import BusError, ConfigError, KeyFileError, LsiError, RigCalibrationError
from lsi.key_files import read_public_key
from lsi.placement import Placement
from lsi.rig_calibration import read_rig_calibration

ROOT = Path(__file__).parents[3]
BOARD = "sim-mcp3208"
SHOWN = 1 * ((2 + 2) + (2 + 78) + (2 + 60))
"""Patterns of one scan of each step, dark ones included."""


def run(state: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_calibrate(parser.add_subparsers())
    parsed = parser.parse_args(["calibrate", "--state", str(state), "--scans", "1", *arguments])
    code: int = parsed.command(parsed)
    return code


class Terminal(io.StringIO):
    """A person at a keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a device that was calibrated once, of which a mirror's turn is known."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        turned = Placement(0.01, 0.02, 1.02, 0.01)
        patch.setattr(command, "BenchLight", lambda: BenchLight(turned))
        assert run(state, "--yes", "--paper") == 0
    return state


def test_the_calibration_is_signed_by_the_device_and_says_where_the_field_lies(done: Path) -> None:
    key = read_public_key(done / "device.pub")
    found = read_rig_calibration(
        done / "rig-calibration-sim-mcp3208.json", key, BOARD, dt.datetime.now(dt.UTC)
    )
    place = found.placement
    assert (place.shift_x_px, place.shift_y_px) == pytest.approx((10.24, 20.48), abs=0.8)
    assert (place.scale, place.rotation_rad) == pytest.approx((1.02, 0.01), abs=2e-3)
    assert (found.simulated, found.mask_side_px, found.mirror_scale_px) == (True, 64, 16)
    assert found.patterns_shown == SHOWN
    assert found.paper is not None


def test_the_key_is_for_its_owner_alone(done: Path) -> None:
    assert (done / "device.key").stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_the_calibration_three_drawings_and_a_count(done: Path) -> None:
    assert sorted(str(path.relative_to(done)) for path in done.rglob("*") if path.is_file()) == [
        "calibration-patterns",
        "calibration-sim-mcp3208/linearity.svg",
        "calibration-sim-mcp3208/placement.svg",
        "calibration-sim-mcp3208/throughput.svg",
        "device.key",
        "device.pub",
        "rig-calibration-sim-mcp3208.json",
        "rig.lock",
    ]


def test_a_second_calibration_keeps_the_key_and_adds_to_the_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--yes") == 0
    key = (tmp_path / "device.key").read_bytes()
    assert run(tmp_path, "--yes") == 0
    assert (tmp_path / "device.key").read_bytes() == key
    assert shown_patterns(tmp_path) == 2 * SHOWN
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line)
    assert lines["shift right"].strip().endswith("mirrors")
    assert lines["blocks"].strip() == "0 of 64 dim, 0 of them dead"
    assert "paper's scale" not in lines


def test_nothing_that_was_read_of_the_target_is_written(done: Path) -> None:
    document = json.loads((done / "rig-calibration-sim-mcp3208.json").read_bytes().partition(b"\n")[0])
    assert set(document["fit"]) == {"rms", "rms_by_direction", "worst", "black"}
    assert set(document) == {
        "v", "board", "simulated", "taken_at", "mask_side_px", "mirror_scale_px", "patterns_shown",
        "placement", "placement_error", "fit", "arms", "throughput", "paper",
    }  # fmt: skip


def test_a_person_is_led_through_three_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n\n\n"))
    assert run(tmp_path) == 0
    said = capsys.readouterr().out
    assert said.index("[1/3] Cover the lens") < said.index("[2/3] Uncover") < said.index("[3/3] Hold")
    assert said.count("Then press Enter") == 3


def test_a_terminal_that_closes_ends_it_and_what_was_shown_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    with pytest.raises(RigCalibrationError, match="terminal was closed"):
        run(tmp_path)
    assert not (tmp_path / "rig-calibration-sim-mcp3208.json").exists()
    assert shown_patterns(tmp_path) == 4


def test_nobody_at_the_terminal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n\n"))
    with pytest.raises(ConfigError, match="not a terminal"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_real_board_is_not_calibrated_unattended(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="somebody has to hold card and target"):
        run(tmp_path, "--yes", "--board", "pi-dlpc900-mcp3208")


def test_a_rig_in_use_is_left_alone(tmp_path: Path) -> None:
    with rig_lock(tmp_path), pytest.raises(BusError, match="Another program drives the rig"):
        run(tmp_path, "--yes")
    assert not (tmp_path / "device.key").exists()


def test_a_key_that_others_can_read_is_refused_before_anything_is_shown(done: Path, tmp_path: Path) -> None:
    (tmp_path / "device.key").write_bytes((done / "device.key").read_bytes())
    (tmp_path / "device.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="open to others"):
        run(tmp_path, "--yes")
    assert shown_patterns(tmp_path) == 0


def test_a_field_that_lies_beside_the_mirrors_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BenchLight", lambda: BenchLight(Placement(0.0, 0.12)))
    with pytest.raises(LsiError, match="of a mask is beside the DLP6500"):
        run(tmp_path, "--yes")
    assert not (tmp_path / "rig-calibration-sim-mcp3208.json").exists()


def test_a_count_that_is_none_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "calibration-patterns").write_text("many", "ascii")
    with pytest.raises(RigCalibrationError, match="not a count"):
        run(tmp_path, "--yes")
    assert (tmp_path / "calibration-patterns").read_text("ascii") == "many"


@pytest.mark.parametrize("arguments", [["--scans", "0"], ["--mask-side", "-8"], ["--scans", "many"]])
def test_a_number_that_is_none_is_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, "--yes", *arguments)
    assert stopped.value.code == 2


def test_on_a_real_terminal_enter_leads_from_step_to_step(tmp_path: Path) -> None:
    program = f"""
import argparse
from edge_app.cli_commands.calibrate_command import add_calibrate
parser = argparse.ArgumentParser()
add_calibrate(parser.add_subparsers())
parsed = parser.parse_args(["calibrate", "--scans", "1", "--state", {str(tmp_path)!r}])
raise SystemExit(parsed.command(parsed))
"""
    person, terminal = pty.openpty()
    try:
        os.write(person, b"\n\n\n")
        ended = subprocess.run(
            [sys.executable, "-c", program],
            stdin=terminal,
            capture_output=True,
            check=False,
            cwd=ROOT,
            timeout=60,
        )
    finally:
        os.close(person)
        os.close(terminal)
    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stdout.count(b"press Enter") == 3
    assert (tmp_path / "rig-calibration-sim-mcp3208.json").exists()
