import argparse
from pathlib import Path

import pytest

from edge_app.cli_commands.rollback_app_command import add_rollback_app, roll_back
from lsi.errors import ConfigError


def installation(folder: Path, code: int) -> Path:
    """A release with a script beside it that notes its arguments and ends with ``code``."""
    release = folder / "releases/0.2.0"
    release.mkdir(parents=True)
    (folder / "current").symlink_to("releases/0.2.0")
    script = folder / "install_device.sh"
    script.write_text(f'#!/bin/sh\necho "$*" >"{folder}/asked"\nexit {code}\n')
    script.chmod(0o755)
    return release


@pytest.mark.parametrize("code", [0, 1])
def test_the_script_of_the_installation_is_asked_and_its_exit_code_passed_on(
    tmp_path: Path, code: int
) -> None:
    assert roll_back(installation(tmp_path, code)) == code
    assert (tmp_path / "asked").read_text() == "--rollback\n"


def test_the_link_to_the_release_leads_to_the_same_script(tmp_path: Path) -> None:
    installation(tmp_path, 0)
    assert roll_back(tmp_path / "current") == 0
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize("prefix", ["venv", "releases/0.2.0"])
def test_a_python_of_no_installation_is_refused_with_what_to_try(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"no release that .* Try: "):
        roll_back(tmp_path / prefix)


def test_a_script_beside_an_environment_of_another_kind_is_not_run(tmp_path: Path) -> None:
    installation(tmp_path, 0)
    (tmp_path / "environments/mine").mkdir(parents=True)
    with pytest.raises(ConfigError):
        roll_back(tmp_path / "environments/mine")
    assert not (tmp_path / "asked").exists()


def test_the_command_refuses_a_development_environment() -> None:
    parser = argparse.ArgumentParser()
    add_rollback_app(parser.add_subparsers())
    parsed = parser.parse_args(["rollback-app"])
    with pytest.raises(ConfigError):
        parsed.command(parsed)
