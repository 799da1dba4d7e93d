"""One program at a time drives the rig."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.rig.rig_lock import LOCK_NAME, rig_lock
from lsi.errors import BusError, BusErrorKind


def test_who_comes_second_is_refused_with_how_to_stop_the_first(tmp_path: Path) -> None:
    refusal = pytest.raises(BusError, match="Another program drives the rig")
    with rig_lock(tmp_path), refusal as refused, rig_lock(tmp_path):
        pass
    assert refused.value.kind is BusErrorKind.REFUSED
    assert "systemctl stop" in refused.value.hint


def test_the_rig_is_free_again_afterwards_also_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), rig_lock(tmp_path):
        raise RuntimeError
    with rig_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600


def test_another_process_is_kept_out_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    program = f"""
import pathlib, time
from edge_app.rig.rig_lock import rig_lock
with rig_lock(pathlib.Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(BusError), rig_lock(tmp_path):
                pass
        finally:
            holder.kill()
            holder.wait()
    with rig_lock(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="gone") as refused, rig_lock(tmp_path / "gone"):
        pass
    assert refused.value.kind is BusErrorKind.PERMISSION


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BusError), rig_lock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()
