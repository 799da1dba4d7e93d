from pathlib import Path

import pytest

from edge_app.cli import main
from edge_app.rig.rig_lock import rig_lock
from edge_app.settings.config import load_config
from edge_app.uplink import open_outbox
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from tests.edge_app.test_cli import config

MARKER = b"a-visit-that-somebody-made"


def with_records(tmp_path: Path) -> str:
    path = config(tmp_path)
    outbox = open_outbox(
        load_config(Path(path), {}), "0" * 16, clock=MonotonicClock(), wall_clock=SystemWallClock()
    )
    outbox.add("event", lambda _: MARKER)
    outbox.close()
    return path


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_that_anybody_did_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = with_records(tmp_path)
    assert MARKER in everything(tmp_path / "state")
    assert main(["wipe", "--config", path]) == 0
    assert MARKER not in everything(tmp_path / "state")
    assert "Erased" in capsys.readouterr().out
    assert main(["wipe", "--config", path]) == 0


def test_while_the_service_runs_nothing_is_erased(tmp_path: Path) -> None:
    path = with_records(tmp_path)
    with rig_lock(tmp_path / "state"):
        assert main(["wipe", "--config", path]) == 4
    assert MARKER in everything(tmp_path / "state")


def test_without_records_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wipe", "--config", config(tmp_path)]) == 0
    assert "no records" in capsys.readouterr().out
