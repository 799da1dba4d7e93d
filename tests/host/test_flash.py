"""``lsi flash`` without a network: cards, groups, answers of devices, and every wrong address."""

import json
import os
import stat
import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.cli import main
from host.flash_card import STATE, put_on_card
from host.flash_device import Flashed, Wishes, flash_device, send
from host.flash_rollout import Group, Result, exit_code, read_groups, roll_out
from host.flash_target import CardTarget, CommandTarget, EdgeCommand, target_of
from host.progress_bar import ProgressBar
from lsi.errors import ConfigError, FlashError, TrialFailedError
from tests.releases import device_in, release

CONTENT = b"bundle" * 30_000


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("ssh://hall1", ["--", "hall1"]),
        ("ssh://lsi@hall1.local", ["-l", "lsi", "--", "hall1.local"]),
        ("ssh://lsi@192.0.2.7:2222/", ["-p", "2222", "-l", "lsi", "--", "192.0.2.7"]),
        ("ssh://[2001:db8::7]:22", ["-p", "22", "--", "2001:db8::7"]),
    ],
)
def test_an_address_becomes_words_for_ssh(destination: str, words: list[str]) -> None:
    target = target_of(destination, EdgeCommand())
    assert isinstance(target, CommandTarget)
    assert list(target.prefix[-len(words) :]) == words
    assert target.prefix[0] == "ssh"


@pytest.mark.parametrize(
    "destination",
    [
        "ssh://-oProxyCommand=x",
        "ssh://",
        "ssh://a b",
        "ssh://-l@hall1",
        "ssh://hall1/path",
        "ssh://hall1;reboot",
        "hall1",
        "/no/such/folder",
        "",
        "ftp://hall1",
    ],
)
def test_what_is_no_address_is_refused_with_the_forms(destination: str) -> None:
    with pytest.raises(FlashError, match="ssh://user@host"):
        target_of(destination, EdgeCommand())


@given(st.text(max_size=30))
def test_no_destination_becomes_an_option_of_ssh(text: str) -> None:
    try:
        target = target_of(f"ssh://{text}", EdgeCommand())
    except FlashError:
        return
    assert isinstance(target, CommandTarget)
    options = target.prefix[1 : target.prefix.index("--")]
    assert all(word.startswith("-") for word in options[::2])
    assert not target.prefix[-1].startswith("-")


def test_what_a_device_is_told_is_quoted_for_its_shell() -> None:
    edge = EdgeCommand(("sudo", "-n", "lsi-edge"), "/etc/my conf; rm -rf x")
    command = CommandTarget("hall1", edge, ("ssh", "--", "hall1")).bundle_command("list")
    assert command[:3] == ["ssh", "--", "hall1"]
    assert command[3:] == [
        "sudo -n lsi-edge --log-level ERROR bundle list --json --config '/etc/my conf; rm -rf x'"
    ]


def card_in(folder: Path) -> Path:
    (folder / STATE).mkdir(parents=True)
    return folder


def test_a_card_gets_the_bundle_into_the_inbox_of_its_device(tmp_path: Path) -> None:
    card = card_in(tmp_path)
    path = put_on_card(card, "mine.lsib", CONTENT)
    assert path == card / STATE / "inbox" / "mine.lsib"
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["mine.lsib"]


def test_a_card_can_be_pulled_as_soon_as_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card, synced, fsync = card_in(tmp_path), list[int](), os.fsync

    def recording(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    path = put_on_card(card, "mine.lsib", CONTENT)
    assert synced == [each.stat().st_ino for each in (path, path.parent, card / STATE)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_on_a_card_everything_belongs_to_the_service(tmp_path: Path) -> None:
    card = card_in(tmp_path)
    os.chown(card / STATE, 4711, 4712)
    path = put_on_card(card, "mine.lsib", CONTENT)
    assert {(each.stat().st_uid, each.stat().st_gid) for each in (path, path.parent)} == {(4711, 4712)}


def test_a_folder_that_is_no_card_and_a_card_that_fails_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FlashError, match="no root file system of a device"):
        put_on_card(tmp_path, "mine.lsib", CONTENT)
    card = card_in(tmp_path / "card")
    assert put_on_card(card, "mine.lsib", CONTENT, dry_run=True).name == "mine.lsib"
    assert list((card / STATE).iterdir()) == []

    def pulled(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", pulled)
        with pytest.raises(FlashError, match=r"Input/output error.*not locked, full or pulled"):
            put_on_card(card, "mine.lsib", CONTENT)
    assert list((card / STATE / "inbox").iterdir()) == []
    (card / STATE / "inbox").rmdir()
    (card / STATE / "inbox").symlink_to(tmp_path)
    with pytest.raises(FlashError, match="cannot be written"):
        put_on_card(card, "mine.lsib", CONTENT)


GROUPS = """
[[group]]
name = "canary"
devices = ["ssh://hall1"]

[[group]]
name = "rest"
devices = ["ssh://hall2", "ssh://hall3"]
"""


def listed(tmp_path: Path, text: str = GROUPS) -> Path:
    path = tmp_path / "devices.toml"
    path.write_text(text, "utf-8")
    return path


def test_groups_are_read_in_order_and_can_be_picked(tmp_path: Path) -> None:
    path = listed(tmp_path)
    assert [group.name for group in read_groups(path)] == ["canary", "rest"]
    assert read_groups(path, ["rest"]) == [Group("rest", ("ssh://hall2", "ssh://hall3"))]


@pytest.mark.parametrize(
    ("text", "only", "message"),
    [
        (GROUPS, ["attic"], "attic are not in it.*canary, rest"),
        (GROUPS + GROUPS, [], "canary, rest appear twice"),
        ("", [], "group"),
        ('[[group]]\nname = "a b"\ndevices = ["x"]', [], "name"),
        ('[[group]]\nname = "a"\ndevices = []', [], "devices"),
        ("[[group", [], "not TOML"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, only: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_groups(listed(tmp_path, text), only)


def test_the_first_group_that_does_not_take_the_bundle_is_the_last() -> None:
    def flash(device: str) -> Flashed:
        if device == "b":
            raise TrialFailedError("b: rolled back.")
        return Flashed.ACTIVE

    groups = [Group("one", ("a",)), Group("two", ("b", "c")), Group("three", ("d",))]
    results = list(roll_out(groups, flash, at_once=1))
    assert [result.device for result in results] == ["a", "b", "c"]
    assert [result.line for result in results] == ["a: active", "b: b: rolled back.", "c: active"]
    assert exit_code(results) == 53
    assert exit_code([Result("a", Flashed.ACTIVE)]) == 0
    assert exit_code([Result("a", error=FlashError("away")), *results]) == 53


class Script:
    """A device whose ``lsi-edge`` is a shell script: it answers what a test wants to hear, once each."""

    def __init__(self, folder: Path, **answers: str) -> None:
        self.path = folder / "lsi-edge"
        cases = "".join(f"  {word}) {answer};;\n" for word, answer in answers.items())
        self.path.write_text(f'#!/bin/sh\ncase "$4" in\n{cases}esac\n', "ascii")
        self.path.chmod(0o755)

    @property
    def target(self) -> CommandTarget:
        return CommandTarget("hall1", EdgeCommand((str(self.path),)))


EMPTY = """echo '{"slots":{"a":null,"b":null}}'"""
TAKES = """echo '{"have": 0}'; cat >/dev/null; echo '{"received": true}'"""
STAGED = """echo '{"standing": "staged"}'"""


def flashed(script: Script) -> tuple[Flashed, list[tuple[str, int, int]]]:
    told: list[tuple[str, int, int]] = []
    return flash_device(script.target, CONTENT, Wishes(), lambda *each: told.append(each)), told


def test_a_device_is_told_to_take_install_and_try(tmp_path: Path) -> None:
    done, told = flashed(
        Script(tmp_path, list=EMPTY, receive=TAKES, install=STAGED, activate="""echo '{"service": "runs"}'""")
    )
    assert done is Flashed.ACTIVE
    assert [what for what, _, _ in told[-3:]] == ["sending", "installing", "trial"]
    assert told[0] == ("sending", 0, len(CONTENT))
    assert told[-3] == ("sending", len(CONTENT), len(CONTENT))


def test_a_rollback_keeps_the_words_of_the_device(tmp_path: Path) -> None:
    ends = (
        "echo 'a line of a library' >&2; echo 'lsi-edge: x was rolled back. Why.' >&2; echo INFO >&2; exit 53"
    )
    with pytest.raises(TrialFailedError, match=r"hall1: x was rolled back\. Why\."):
        flashed(Script(tmp_path, list=EMPTY, receive=TAKES, install=STAGED, activate=ends))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"list": "echo hello"}, "no answer of lsi-edge"),
        ({"list": "exit 127"}, "ended with code 127"),
        ({"list": EMPTY, "receive": "echo 'lsi-edge: disk full' >&2; exit 50"}, "disk full"),
        ({"list": EMPTY, "receive": "echo nonsense; exit 1"}, "code 1"),
        ({"list": EMPTY, "receive": TAKES, "install": "echo 'lsi-edge: no' >&2; exit 22"}, "hall1: no"),
    ],
)
def test_whatever_a_device_answers_is_told(tmp_path: Path, answers: dict[str, str], message: str) -> None:
    with pytest.raises(FlashError, match=message):
        flashed(Script(tmp_path, **answers))


def test_a_connection_that_never_lasts_is_given_up(tmp_path: Path) -> None:
    waits: list[float] = []
    script = Script(tmp_path, list=EMPTY, receive="""echo '{"have": 0}'; head -c 10 >/dev/null; exit 255""")
    with pytest.raises(FlashError, match="connection was lost"):
        send(script.target, CONTENT, "0" * 64, lambda *_: None, waits.append)
    assert waits == [2.0, 4.0, 8.0, 16.0]


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    target = CommandTarget("hall1", EdgeCommand((str(tmp_path / "none"),)))
    with pytest.raises(FlashError, match="cannot be started"):
        flash_device(target, CONTENT, Wishes(), lambda *_: None)


def test_this_machine_takes_a_bundle_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    device = device_in(tmp_path / "device")
    bundle = release(tmp_path, "1.0.0")
    words = ["flash", str(bundle), "local", "--device-config", str(device.config)]
    assert main([*words, "--json"]) == 0
    out, _ = capsys.readouterr()
    assert json.loads(out)["result"] == "to be tried at its next start"
    assert (device.state / "bundles" / "a.lsib").read_bytes() == bundle.read_bytes()


def test_what_no_device_would_take_is_not_sent_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = card_in(tmp_path / "card")
    unsigned = Path("bundles/attr-lite-16-0.2.0.lsib")
    assert main(["flash", str(unsigned), str(card)]) == 21
    assert "lsi bundle sign" in capsys.readouterr().err
    (tmp_path / "junk.lsib").write_bytes(b"junk")
    assert main(["flash", str(tmp_path / "junk.lsib"), str(card)]) == 5
    assert main(["flash", str(tmp_path / "none.lsib"), str(card)]) == 5
    assert list((card / STATE).iterdir()) == []


def test_destinations_or_a_list_and_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, card = release(tmp_path, "1.0.0"), card_in(tmp_path / "card")
    assert main(["flash", str(bundle)]) == 54
    assert main(["flash", str(bundle), str(card), "--devices", str(listed(tmp_path))]) == 54
    assert "--devices LIST" in capsys.readouterr().err
    one, two = f'[[group]]\nname = "one"\ndevices = ["{card}", "/nowhere"]\n', GROUPS
    text = one + two.split("[[group]]")[1].join(["[[group]]", ""])
    assert main(["flash", str(bundle), "--devices", str(listed(tmp_path, text)), "--dry-run"]) == 54
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{card}: could be flashed"
    assert "1 more devices were not begun" in err
    assert isinstance(target_of(str(card), EdgeCommand()), CardTarget)


def test_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        bar = ProgressBar(stream)
        for done in range(0, 101, 5):
            bar.tell("hall1", "sending", done, 100)
        bar.end()
    assert terminal.getvalue().count("\r") == 22
    assert "[###############...............]  50 %" in terminal.getvalue()
    assert file.getvalue().splitlines() == [f"hall1: sending, {each} %" for each in (0, 25, 50, 75, 100)]
