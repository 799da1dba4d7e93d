"""The state of an interrupted run: kept whole, refused when it belongs to another."""

import errno
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import DataError
from training.unfinished import Unfinished, digest_of


def _unfinished(folder: Path, digest: str = "a") -> Unfinished:
    return Unfinished(folder / "run.unfinished", digest)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"epoch": 3, "students": [{"weights": torch.arange(4.0)}]}
    _unfinished(tmp_path).save(state)
    loaded = _unfinished(tmp_path).load()
    assert loaded is not None
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["students"][0]["weights"], torch.arange(4.0))


def test_without_a_file_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    assert _unfinished(tmp_path).load() is None


def test_a_run_with_other_settings_is_refused_with_what_to_remove(tmp_path: Path) -> None:
    _unfinished(tmp_path, "a").save({})
    with pytest.raises(DataError, match=r"other data or settings.*remove .*run\.unfinished"):
        _unfinished(tmp_path, "b").load()


@pytest.mark.parametrize("damage", [b"", b"not a state", b"PK\x03\x04" + bytes(40), b"\x80\x04K\x01."])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    kept = _unfinished(tmp_path)
    kept.path.write_bytes(damage)
    with pytest.raises(DataError, match=r"run\.unfinished"):
        kept.load()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    kept = _unfinished(tmp_path)
    kept.save({"weights": torch.arange(1000.0)})
    kept.path.write_bytes(kept.path.read_bytes()[:-200])
    with pytest.raises(DataError, match="damaged"):
        kept.load()


def test_code_in_the_file_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "executed"),))  # type: ignore[return-value]

    kept = _unfinished(tmp_path)
    torch.save({"digest": "a", "state": Evil()}, kept.path)
    with pytest.raises(DataError):
        kept.load()
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _unfinished(tmp_path)
    kept.save({"epoch": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match=r"No space left.*free some space"):
        kept.save({"epoch": 2})
    monkeypatch.undo()
    assert kept.load() == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    kept = _unfinished(tmp_path)
    kept.save({})
    kept.remove()
    kept.remove()
    assert not kept.path.exists()


def test_the_digest_follows_every_setting() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
