"""``lsi-edge bundle`` as a person types it: what it does, what it refuses, and what it says."""

import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.bundles.device_slots import open_slots
from edge_app.bundles.inbox import INBOX, Inbox, PatientReader
from edge_app.bundles.slot_table import SlotName, Standing
from edge_app.cli import main
from edge_app.cli_commands import bundle_command
from edge_app.cli_commands.trial_watch import watch_trial
from lsi.errors import FlashError, SlotError, TrialFailedError
from lsi.rollback import RollbackReason
from tests.releases import Device, device_in, release


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    for version, epoch in (("1.0.0", 1), ("1.1.0", 2)):
        release(folder, version, epoch)
    return folder


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return device_in(tmp_path / "device")


class Typed:
    """Commands typed on a device."""

    def __init__(self, device: Device, capsys: pytest.CaptureFixture[str]) -> None:
        self.device = device
        self._capsys = capsys
        self.said = ""

    def __call__(self, *words: object, code: int = 0) -> str:
        got = main(["--log-level", "ERROR", "bundle", *map(str, words), "--config", str(self.device.config)])
        out, self.said = self._capsys.readouterr()
        assert got == code, self.said
        return out

    def slots(self) -> dict[str, object]:
        document = json.loads(self("list", "--json"))
        return {
            slot: held and (held["version"], held["standing"]) for slot, held in document["slots"].items()
        }


@pytest.fixture
def typed(device: Device, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(device, capsys)


def passed(device: Device) -> None:
    """What the service does with a bundle on trial that passes."""
    open_slots(device.state).begin_try()
    open_slots(device.state).commit()


def test_a_new_device_has_two_empty_slots(typed: Typed) -> None:
    assert typed("list").splitlines()[:3] == [
        "a  empty", "b  empty", "No slot is active: what runs is nothing.",
    ]  # fmt: skip
    assert not (typed.device.state / "bundles").exists()
    typed("verify")
    typed("rollback", code=50)
    assert "no bundle to go back to" in typed.said
    typed("activate", code=50)
    assert "Try: lsi-edge bundle install FILE" in typed.said


def test_install_activate_list_verify_and_rollback(typed: Typed, shelf: Path) -> None:
    assert "slot: a, standing: staged" in typed("install", shelf / "hall-1.0.0.lsib")
    assert "already" not in typed("activate")
    assert "begins at its next start" in typed.said
    passed(typed.device)
    typed("install", shelf / "hall-1.1.0.lsib")
    assert typed.slots() == {"a": ("1.0.0", "active"), "b": ("1.1.0", "staged")}
    assert "is new: False" in typed("install", shelf / "hall-1.1.0.lsib")
    typed("activate")
    typed("activate", code=50)
    assert "A trial goes on." in typed.said
    typed("install", shelf / "hall-1.0.0.lsib")  # it is active: there is nothing to do
    assert typed("verify").count("holds: True") == 2
    assert "active: attr-lite-16 1.0.0" in typed("rollback")
    listed = typed("list")
    assert "b  rejected  attr-lite-16 1.1.0" in listed
    assert "Somebody asked for it on the device." in listed
    assert "rolled back" in listed.splitlines()[-1]


def test_a_person_may_go_back_and_not_below_the_epoch_that_ran(
    typed: Typed, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hall-1.0.0.lsib", "hall-1.1.0.lsib"):
        typed("install", shelf / name)
        typed("activate")
        passed(typed.device)
    typed("rollback", code=51)
    assert "has epoch 1; 2 ran here" in typed.said
    typed("install", shelf / "hall-1.0.0.lsib", code=51)
    assert "security epoch 1; 2 ran here" in typed.said
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 1000)
        for words in (("rollback",), ("install", shelf / "hall-1.0.0.lsib")):
            typed(*words, "--allow-downgrade", code=51)
            assert "Only root" in typed.said
    if os.geteuid() != 0:
        return
    typed("rollback", "--allow-downgrade")
    assert typed.slots() == {"a": ("1.0.0", "active"), "b": ("1.1.0", "previous")}
    listed = typed("list")
    assert "Highest security epoch: 2; lower ones allowed by root: 1." in listed
    assert "downgrade allowed" in listed
    typed("install", shelf / "hall-1.0.0.lsib", "--allow-downgrade")


def test_the_factorys_bundle_counts_for_the_epoch_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shelf: Path
) -> None:
    typed = Typed(device_in(tmp_path / "d", factory=shelf / "hall-1.1.0.lsib"), capsys)
    typed("install", shelf / "hall-1.0.0.lsib", code=51)
    assert "what runs is the factory's bundle" in typed("list")


def test_what_a_device_does_not_trust_or_know_is_not_installed(
    typed: Typed, shelf: Path, tmp_path: Path
) -> None:
    expired = release(tmp_path, "3.0.0", expires="2026-01-01")
    typed("install", expired, code=52)
    assert "was to be installed until 2026-01-01" in typed.said
    typed("install", tmp_path / "none.lsib", code=5)
    (tmp_path / "junk.lsib").write_bytes(b"junk" * 1000)
    typed("install", tmp_path / "junk.lsib", code=5)
    content = bytearray((shelf / "hall-1.0.0.lsib").read_bytes())
    content[-2000] ^= 1
    (tmp_path / "flipped.lsib").write_bytes(content)
    typed("install", tmp_path / "flipped.lsib", code=15)
    (typed.device.folder / "owner.pub").write_text(
        "untrusted comment: another\nRWQ4NzY1NDMyMTtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop\n"
    )
    typed("install", shelf / "hall-1.0.0.lsib", code=22)
    assert typed.slots() == {"a": None, "b": None}


def test_a_dry_run_checks_everything_and_writes_nothing(typed: Typed, shelf: Path) -> None:
    assert "would install: attr-lite-16" in typed("install", shelf / "hall-1.0.0.lsib", "--dry-run")
    assert sorted(path.name for path in typed.device.state.iterdir()) == []


def test_two_installs_at_once_do_not_mix(typed: Typed, shelf: Path) -> None:
    with (typed.device.state / "install.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        typed("install", shelf / "hall-1.0.0.lsib", code=50)
        assert "Another bundle is being installed." in typed.said
    typed("install", shelf / "hall-1.0.0.lsib")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_state_folder_that_cannot_be_written_is_told(typed: Typed, shelf: Path) -> None:
    typed.device.state.chmod(0o500)
    typed("install", shelf / "hall-1.0.0.lsib", code=50)
    assert "the user of the service" in typed.said


def test_verify_names_the_slot_that_is_damaged(typed: Typed, shelf: Path) -> None:
    typed("install", shelf / "hall-1.0.0.lsib")
    (typed.device.state / "bundles" / "a.lsib").write_bytes(b"worn")
    assert "slot: a" in typed("verify", code=50)
    assert "holds no whole bundle" in typed.said
    assert "holds: True" in typed("verify", shelf / "hall-1.0.0.lsib")


def test_a_damaged_table_is_told_and_mended_by_the_next_start(typed: Typed, shelf: Path) -> None:
    typed("install", shelf / "hall-1.0.0.lsib")
    (typed.device.state / "bundles" / "slots.json").write_bytes(b"{}")
    typed("list", code=50)
    assert "damaged" in typed.said
    assert "restart the service" in typed.said
    open_slots(typed.device.state).begin()
    assert typed.slots() == {"a": ("1.0.0", "active"), "b": None}


def receive(
    device: Device, content: bytes, sent: bytes, digest: str | None = None
) -> tuple[int, list[dict[str, object]]]:
    words = ["bundle", "receive", digest or hashlib.sha256(content).hexdigest(), str(len(content))]
    command = [
        sys.executable,
        "-m",
        "edge_app.cli",
        "--log-level",
        "ERROR",
        *words,
        "--config",
        str(device.config),
    ]
    done = subprocess.run(command, input=sent, capture_output=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_transfer_goes_on_where_it_ended(typed: Typed, shelf: Path) -> None:
    content = (shelf / "hall-1.0.0.lsib").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert receive(typed.device, content, content[:100_000]) == (54, [{"have": 0}])
    code, said = receive(typed.device, content, content[100_000:])
    assert (code, said) == (0, [{"have": 100_000}, {"received": True}])
    typed("install", "--received", digest)
    assert typed.slots() == {"a": ("1.0.0", "staged"), "b": None}
    assert list((typed.device.state / INBOX).iterdir()) == []


class TestInbox:
    CONTENT = bytes(range(256)) * 300
    DIGEST = hashlib.sha256(CONTENT).hexdigest()

    def test_what_was_not_sent_is_thrown_away(self, tmp_path: Path) -> None:
        inbox = Inbox(tmp_path)
        assert inbox.begun(self.DIGEST) == 0
        with pytest.raises(FlashError, match="not what was sent"):
            inbox.take(self.DIGEST, 10, io.BytesIO(bytes(10)))
        assert inbox.begun(self.DIGEST) == 0

    def test_no_more_than_the_size_is_taken(self, tmp_path: Path) -> None:
        inbox, source = Inbox(tmp_path), io.BytesIO(self.CONTENT + b"more")
        inbox.begun(self.DIGEST)
        path = inbox.take(self.DIGEST, len(self.CONTENT), source)
        assert path.read_bytes() == self.CONTENT
        assert source.read() == b"more"
        assert inbox.begun(self.DIGEST) == len(self.CONTENT)

    def test_there_is_room_for_one_transfer(self, tmp_path: Path) -> None:
        inbox = Inbox(tmp_path)
        inbox.begun(self.DIGEST)
        with pytest.raises(FlashError, match="ended after 5 of 10"):
            inbox.take(self.DIGEST, 10, io.BytesIO(bytes(5)))
        assert inbox.begun(self.DIGEST) == 5
        assert inbox.begun("0" * 64) == 0
        assert [path.name for path in (tmp_path / INBOX).iterdir()] == ["0" * 64 + ".part"]

    @pytest.mark.parametrize("digest", ["../" + "0" * 61, "0" * 63, "A" * 64, ""])
    def test_a_digest_is_no_path(self, tmp_path: Path, digest: str) -> None:
        inbox = Inbox(tmp_path)
        with pytest.raises(SlotError, match="64 digits"):
            inbox.begun(digest)
        with pytest.raises(SlotError, match="64 digits"):
            inbox.received(digest)

    def test_a_silent_sender_is_given_up(self) -> None:
        ours, theirs = os.pipe()
        try:
            os.write(theirs, b"abc")
            reader = PatientReader(ours, silence_s=0.01)
            assert reader.read(10) == b"abc"
            assert reader.read(10) == b""
        finally:
            os.close(ours)
            os.close(theirs)


def test_what_is_put_onto_the_card_is_installed_and_tried_at_the_next_start(
    typed: Typed, shelf: Path
) -> None:
    inbox = typed.device.state / INBOX
    inbox.mkdir()
    (inbox / "hall-1.0.0.lsib").write_bytes((shelf / "hall-1.0.0.lsib").read_bytes())
    (inbox / "junk.lsib").write_bytes(b"junk")
    (inbox / ".hall-2.lsib.1234").write_bytes(b"half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_command, "service_runs", lambda _: False)
        code = main(["--log-level", "ERROR", "run", "--config", str(typed.device.config), "--scans", "1"])
    assert code == 0
    assert typed.slots() == {"a": ("1.0.0", "trial"), "b": None}
    assert sorted(path.name for path in inbox.iterdir()) == [".hall-2.lsib.1234"]
    listed = typed("list")
    assert "junk.lsib" in listed
    assert "refused" in listed
    assert "tries left: 3 of 3" in listed  # stopped in good order


def test_waiting_tells_each_try_and_how_it_ended(device: Device, shelf: Path, typed: Typed) -> None:
    typed("install", shelf / "hall-1.0.0.lsib")
    store = open_slots(device.state)
    held = store.activate(offline_ok=True).of(Standing.TRIAL)
    assert held is not None
    acts = iter([store.begin_try, store.table, store.commit])

    def act(_: float) -> None:
        next(acts)()

    said: list[dict[str, object]] = []
    assert watch_trial(store, held, said.append, wait=act) == 0
    assert [each.get("tries_left") for each in said] == [3, 2, None]
    assert said[-1]["standing"] == "active"

    typed("install", shelf / "hall-1.1.0.lsib")
    held = store.activate(offline_ok=True).of(Standing.TRIAL)
    assert held is not None
    assert open_slots(device.state).table().slot_of(Standing.TRIAL) is SlotName.B

    def fail(_: float) -> None:
        store.roll_back(RollbackReason.SELF_TEST, "full-on.")

    with pytest.raises(TrialFailedError, match=r"rolled back\. The rig did not pass its self-test\. full-on"):
        watch_trial(store, held, said.append, wait=fail)
