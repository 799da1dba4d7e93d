"""``lsi train``: one command, one module per product."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import Files
from training.cli_commands import train_command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lsi train")
    train_command.add_arguments(parser)
    return parser


def test_help_names_every_product_and_ends_with_an_example() -> None:
    shown = _parser().format_help()
    assert all(name in shown for name in train_command.PRODUCTS)
    assert shown.rstrip().endswith("checkpoints/lite16.npz")


@pytest.mark.parametrize("product", sorted(train_command.PRODUCTS))
def test_every_product_has_help_with_an_example(product: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        _parser().parse_args([product, "--help"])
    assert f"lsi train {product} " in capsys.readouterr().out.split("xample:")[-1]


def test_a_product_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _parser().parse_args(["pictures"])
    assert "attributes" in capsys.readouterr().err


def test_help_needs_no_pytorch() -> None:
    program = (
        "import argparse, sys; from training.cli_commands import train_command as c; "
        "c.add_arguments(argparse.ArgumentParser()); "
        "raise SystemExit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_a_teacher_is_trained_and_taught_from(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    teacher = tmp_path / "teacher.npz"
    words = ["teacher", "--data", str(files.data), "--val", str(files.val), "-o", str(teacher)]
    parsed = _parser().parse_args([*words, "--epochs", "1", "--threads", "1"])
    assert train_command.run(parsed) == 0
    shown = capsys.readouterr().out
    assert "ceiling on val report: macro AUC" in shown
    assert "majority" in shown
    words = [
        "attributes",
        *files.arguments(tmp_path / "bank.npz", "--epochs", "1", "--teacher", str(teacher)),
    ]
    assert train_command.run(_parser().parse_args(words)) == 0
    assert (tmp_path / "bank.npz").exists()
