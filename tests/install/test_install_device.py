"""The install script below a folder of its own: real environments, real account files, no service."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/install_device.sh"
TOOLS = ("systemd-sysusers", "systemd-tmpfiles", "userdel", "groupdel")
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_COMPILE": "1"}
"""What the packages need is there or not; here only the script is tried."""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="accounts are made by root alone"),
    pytest.mark.skipif(
        any(shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None for tool in TOOLS),
        reason="needs systemd and passwd (apt install systemd passwd)",
    ),
]

Tree = Mapping[str, str]
"""What each path below a root is: a folder, a link with its target, or a file with its digest."""


def tree(root: Path) -> Tree:
    """Everything below ``root`` but the inside of environments and the backups of account files."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.count("/") > 3 and name.startswith("opt/lsi/releases/"):
            continue
        if name.startswith("etc/") and name.endswith((".pwd.lock", "passwd-", "shadow-", "group-")):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = f"folder {path.stat().st_mode & 0o7777:04o}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def make_wheel(folder: Path, version: str, unit: bytes | None = None) -> Path:
    """The device's data and command as a wheel of the given version, small enough for a test."""
    files = {
        f"hardware/{path.relative_to(ROOT / 'hardware')}": path.read_bytes()
        for part in ("systemd", "udev")
        for path in (ROOT / "hardware" / part).iterdir()
    }
    if unit is not None:
        files["hardware/systemd/lsi-edge.service"] = unit
    files["hardware/__init__.py"] = b""
    files["edge_app/cli.py"] = f"def main():\n    print('lsi-edge {version}')\n".encode()
    info = f"lsi_edge-{version}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: lsi-edge\nVersion: {version}\nProvides-Extra: pi\n".encode()
    )
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nlsi-edge = edge_app.cli:main\n"
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"lsi_edge-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def run(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SCRIPT), "--root", str(root), *map(str, arguments)]
    environ = {**os.environ, **OFFLINE}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def install(root: Path, wheel: Path, *options: str) -> None:
    result = run(root, "--wheel", wheel, "--python", sys.executable, *options)
    assert result.returncode == 0, result.stderr


@dataclass(frozen=True, slots=True)
class Story:
    """One machine from before the first installation to after the last command."""

    before: Tree
    first: Tree
    again: Tree
    accounts: str
    groups: str
    said: str
    packages: frozenset[str]
    second: Tree
    refused: str
    rolled_back: Tree
    back_said: str
    kept: Tree
    after: Tree


def _said(root: Path) -> str:
    return subprocess.run(
        [root / "opt/lsi/current/bin/lsi-edge"], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("install")
    root, copy = folder / "root", folder / "copy"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ndialout:x:20:\nplugdev:x:46:\n")
    (root / "etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    (root / "etc/gshadow").write_text("root:*::\ndialout:!::\nplugdev:!::\n")
    before = tree(root)
    old = make_wheel(folder, "0.1.0")
    install(root, old, "--without-buses")
    first, accounts, groups = tree(root), (root / "etc/passwd").read_text(), (root / "etc/group").read_text()
    install(root, old)
    again, said = tree(root), _said(root)
    packages = frozenset(
        path.name for path in (root / "opt/lsi/current").glob("lib/python3*/site-packages/*.dist-info")
    )
    (root / "opt/lsi/releases/0.0.9").mkdir()  # a release from before the release before
    install(root, make_wheel(folder, "0.2.0", b"[Unit]\nDescription=newer\n"))
    second = tree(root)
    (folder / "other").mkdir()
    other = make_wheel(folder / "other", "0.2.0")
    refused = run(root, "--wheel", other, "--python", sys.executable)
    assert tree(root) == second
    (root / "var/lib/lsi/outbox.sqlite").write_bytes(b"records")
    assert run(root, "--rollback").returncode == 0
    rolled_back, back_said = tree(root), _said(root)
    shutil.copytree(root, copy, symlinks=True)
    assert run(copy, "--uninstall", "--keep-data").returncode == 0
    assert run(root, "--uninstall").returncode == 0
    return Story(
        before,
        first,
        again,
        accounts,
        groups,
        said,
        packages,
        second,
        refused.stderr,
        rolled_back,
        back_said,
        tree(copy),
        tree(root),
    )


def test_an_installation_makes_what_its_head_says(story: Story) -> None:
    new = {name: what for name, what in story.first.items() if name not in story.before}
    assert new["opt/lsi/current"] == "-> releases/0.1.0"
    assert new["usr/local/bin/lsi-edge"] == "-> /opt/lsi/current/bin/lsi-edge"
    assert (new["etc/lsi"], new["etc/lsi/creds"], new["var/lib/lsi"]) == (
        "folder 0750", "folder 0700", "folder 0700",
    )  # fmt: skip
    for copy, original in (
        ("etc/systemd/system/lsi-edge.service", "hardware/systemd/lsi-edge.service"),
        ("etc/udev/rules.d/70-lsi.rules", "hardware/udev/70-lsi.rules"),
        ("etc/sysusers.d/lsi.conf", "hardware/systemd/lsi.sysusers.conf"),
        ("etc/tmpfiles.d/lsi.conf", "hardware/systemd/lsi.tmpfiles.conf"),
        ("opt/lsi/install_device.sh", "tools/install_device.sh"),
    ):
        assert new[copy] == hashlib.sha256((ROOT / original).read_bytes()).hexdigest(), copy
    files = {name for name, what in new.items() if not what.startswith("folder") and "releases" not in name}
    assert len(files) == 8
    assert story.said == "lsi-edge 0.1.0\n"


def test_the_user_can_open_devices_and_nothing_else(story: Story) -> None:
    line = next(line for line in story.accounts.splitlines() if line.startswith("lsi:"))
    assert line.endswith(":/var/lib/lsi:/usr/sbin/nologin")
    members = {line.split(":")[0] for line in story.groups.splitlines() if line.split(":")[3] == "lsi"}
    assert members == {"spi", "gpio", "dialout", "plugdev"}


def test_a_second_installation_of_the_same_changes_nothing(story: Story) -> None:
    assert story.again == story.first


def test_nothing_stays_in_a_release_that_could_install_more(story: Story) -> None:
    assert story.packages == {"lsi_edge-0.1.0.dist-info"}


def test_two_releases_are_kept(story: Story) -> None:
    kept = {name for name in story.second if name.startswith("opt/lsi/releases/") and name.count("/") == 3}
    assert kept == {"opt/lsi/releases/0.1.0", "opt/lsi/releases/0.2.0"}
    assert story.second["opt/lsi/current"] == "-> releases/0.2.0"
    assert story.second["opt/lsi/previous"] == "-> releases/0.1.0"


def test_one_version_never_names_two_contents(story: Story) -> None:
    assert "Release 0.2.0 is installed from another wheel." in story.refused


def test_a_rollback_brings_release_and_unit_back_and_keeps_the_state(story: Story) -> None:
    unit = "etc/systemd/system/lsi-edge.service"
    assert story.rolled_back["opt/lsi/current"] == "-> releases/0.1.0"
    assert story.rolled_back["opt/lsi/previous"] == "-> releases/0.2.0"
    assert story.second[unit] != story.first[unit]
    assert story.rolled_back[unit] == story.first[unit]
    assert story.back_said == "lsi-edge 0.1.0\n"
    assert "var/lib/lsi/outbox.sqlite" in story.rolled_back


def test_an_uninstallation_leaves_nothing(story: Story) -> None:
    assert story.after == story.before


def test_an_uninstallation_can_keep_configuration_and_state(story: Story) -> None:
    data = {name for name in story.kept if name.startswith(("etc/lsi", "var/lib/lsi"))}
    assert data == {"etc/lsi", "etc/lsi/creds", "var/lib/lsi", "var/lib/lsi/outbox.sqlite"}
    assert not any(name.startswith(("opt", "etc/systemd", "etc/udev", "usr")) for name in story.kept)
    assert story.kept["etc/passwd"] != story.before["etc/passwd"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--wheel", "missing.whl"], 1, "There is no wheel 'missing.whl'."),
        (["--wheel", __file__], 1, "is no wheel of lsi-edge."),
        (["--rollback"], 1, "There is no release to go back to."),
        (["--uninstall"], 1, "There is nothing to uninstall."),
        (["--wheel", "missing.whl", "--python", "no-such-python"], 1, "not Python 3.11 to 3.13."),
        (["--wheel"], 2, "install, or update"),
        (["--frobnicate"], 2, "install, or update"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    if "--wheel" in arguments and "--python" not in arguments and len(arguments) == 2:
        arguments = [*arguments, "--python", sys.executable]
    result = run(tmp_path, *arguments)
    assert (result.returncode, tree(tmp_path)) == (code, {})
    assert said in result.stderr
    assert code == 2 or "Try: " in result.stderr


def test_the_script_is_clean() -> None:
    shellcheck = shutil.which("shellcheck")
    command = [shellcheck] if shellcheck else ["sh", "-n"]
    subprocess.run([*command, str(SCRIPT)], check=True)
