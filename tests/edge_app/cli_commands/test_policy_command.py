"""``lsi-edge policy``, and a service that does not start with more than it was allowed."""

import json
import os
from pathlib import Path

import pytest

from edge_app.cli import main
from lab.signed_copy import SignedCopy


def config(folder: Path, signed: SignedCopy, policy: str) -> str:
    path = folder / "config.toml"
    path.write_text(
        f'device_id = "hall1"\nboard = "sim-mcp3208"\nbundle = {json.dumps(str(signed.bundle))}\n'
        f'state = "state"\n'
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
        f'[mqtt]\nhost = "127.0.0.1"\ntls = {{ mode = "off" }}\n[policy]\n{policy}\n',
        "utf-8",
    )
    (folder / "state").mkdir(exist_ok=True)
    return str(path)


def test_a_wider_policy_runs_only_after_root_has_widened_it_and_info_says_when(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    wide = config(tmp_path, signed, 'mode = "attr"')
    run = ["run", "--config", wide, "--simulate", "--print", "--scans", "1"]
    assert main(run) == 19
    assert "sudo lsi-edge policy --widen" in capsys.readouterr().err
    assert main(["policy", "--config", wide]) == 0
    assert "NOT ALLOWED YET" in capsys.readouterr().out
    assert main(["policy", "--config", wide, "--widen"]) == 0
    assert main(["policy", "--config", wide, "--widen"]) == 0
    assert "Nothing to widen" in capsys.readouterr().out
    assert main(run) == 0
    info = json.loads(capsys.readouterr().out.splitlines()[0].split(" ", 1)[1])
    assert [each["mode"] for each in info["widened"]] == ["attr"]
    assert main(["policy", "--config", wide]) == 0
    shown = capsys.readouterr().out
    assert "with the bundle  attr-lite: " in shown
    assert f"widened {info['widened'][0]['ts']} to attr" in shown


def test_nobody_but_root_widens(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["policy", "--config", config(tmp_path, signed, 'mode = "attr"'), "--widen"]) == 19
    assert "takes root" in capsys.readouterr().err
    assert list((tmp_path / "state").iterdir()) == []


def test_the_environment_cannot_widen_either(
    signed: SignedCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSI_POLICY__MODE", "attr")
    arguments = ["run", "--config", config(tmp_path, signed, ""), "--simulate", "--print", "--scans", "1"]
    assert main(arguments) == 19


def test_a_site_that_allows_less_is_in_force(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.toml").write_text('mode = "attr"\nattributes = ["Smiling"]\n', "utf-8")
    path = config(tmp_path, signed, 'site = "site.toml"')
    assert main(["policy", "--config", path]) == 0
    assert "device and site  attr-lite: Smiling\n" in capsys.readouterr().out
