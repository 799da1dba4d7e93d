"""``lsi import-paper``: what it prints, writes and refuses."""

import builtins
import subprocess
import sys
from pathlib import Path

import pytest

from host.cli import main
from training.paper.paper_weights import load_paper_weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A whole official checkpoint for 64 masks whose tensors take no room."""
    torch = pytest.importorskip("torch", reason="the importer needs PyTorch (lsi-host[train])")
    from tests.training.paper_official import official_document  # noqa: PLC0415 - needs PyTorch

    path = tmp_path / "official.pt"
    document = official_document(64)
    document["mask"]["weight"] = torch.linspace(0.2, 1.0, 64).reshape(64, 1).expand(64, 256**2)
    document["landmarks"] = {"l1.bias": torch.zeros(2)}
    document["opts"]["ini_w"] = "ft"
    torch.save(document, path)
    return path


def test_it_writes_the_weights_and_says_what_it_found(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "folder" / "paper64.npz"
    assert main(["import-paper", str(checkpoint), "-o", str(output)]) == 0
    weights = load_paper_weights(output)
    shown = capsys.readouterr().out
    output.unlink()
    assert (weights.d, weights.parameters) == (64, 29_020_406)
    assert "d           64 masks of 256 x 256" in shown
    assert "open        62.5 % of a mask (0.0 to 100.0)" in shown
    assert "encoder     29,020,406 parameters in 536 tensors" in shown
    assert "head        40 logits" in shown
    assert "latent_avg  found" in shown
    assert "skipped     landmarks, opts" in shown
    assert "note        its options say fine-tuned on a rig" in shown
    assert shown.splitlines()[-1] == f"wrote {output} (118 MB)"


def test_a_checkpoint_without_head_is_said_to_have_none(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch  # noqa: PLC0415 - the fixture has skipped without it

    document = torch.load(checkpoint, weights_only=True)
    torch.save({name: document[name] for name in ("mask", "latent_camera")}, checkpoint)
    output = tmp_path / "paper64.npz"
    assert main(["import-paper", str(checkpoint), "-o", str(output)]) == 0
    output.unlink()
    shown = capsys.readouterr().out
    assert "head        none in this checkpoint" in shown
    assert "latent_avg  none in this checkpoint" in shown
    assert "skipped     nothing" in shown


def test_a_damaged_checkpoint_ends_with_code_20_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the importer needs PyTorch (lsi-host[train])")
    checkpoint, output = tmp_path / "damaged.pt", tmp_path / "out.npz"
    checkpoint.write_bytes(b"PK\x03\x04 and no more")
    assert main(["import-paper", str(checkpoint), "-o", str(output)]) == 20
    assert "damaged.pt is damaged or no PyTorch checkpoint" in capsys.readouterr().err
    assert not output.exists()


def test_an_existing_file_is_replaced_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.npz"
    output.write_bytes(b"mine")
    words = ["import-paper", str(tmp_path / "absent.pt"), "-o", str(output)]
    assert main(words) == 3
    assert "--force" in capsys.readouterr().err
    pytest.importorskip("torch", reason="the importer needs PyTorch (lsi-host[train])")
    assert main([*words, "--force"]) == 20  # further, to the missing checkpoint
    assert output.read_bytes() == b"mine"


def test_the_checkpoint_itself_is_never_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "official.pt"
    path.write_bytes(b"mine")
    assert main(["import-paper", str(path), "-o", str(path), "--force"]) == 3
    assert "is the checkpoint itself" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_ends_with_code_3(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert main(["import-paper", str(checkpoint), "-o", str(blocked / "out.npz")]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_missing_pytorch_is_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without_torch(name: str, *rest: object) -> object:
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]  # passed through unchanged

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert main(["import-paper", str(tmp_path / "any.pt"), "-o", str(tmp_path / "out.npz")]) == 3
    assert "pip install 'lsi-host[train]'" in capsys.readouterr().err


def test_help_needs_no_pytorch() -> None:
    program = (
        "import argparse, sys; from training.cli_commands import import_paper_command as c; "
        "c.add_arguments(argparse.ArgumentParser()); import training.paper.paper_import; "
        "raise SystemExit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
