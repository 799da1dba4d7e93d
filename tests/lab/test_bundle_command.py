"""``lsi bundle``: what each action does to files, says and returns."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from lab.bundles import shipped_bundle
from lab.signed_copy import SignedCopy
from lsi.bundle import open_bundle, read_bundle, write_bundle
from lsi.key_files import read_public_key, read_secret_key
from lsi.trust import check_signature
from tests.bundles import small_bundle, small_files, small_manifest

ACTIONS = ["keygen", "sign", "inspect", "verify", "diff"]


@pytest.fixture
def owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The stem of a key pair."""
    assert main(["bundle", "keygen", "-o", str(tmp_path / "owner")]) == 0
    capsys.readouterr()
    return tmp_path / "owner"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.lsib"
    path.write_bytes(small_bundle())
    return path


def sign(bundle: Path, owner: Path, *more: str) -> int:
    return main(["bundle", "sign", str(bundle), "--key", f"{owner}.key", *more])


@pytest.mark.parametrize("action", ACTIONS)
def test_every_help_ends_with_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bundle", action, "--help"])
    assert stopped.value.code == 0
    assert f"Example: lsi bundle {action} " in capsys.readouterr().out.rpartition("\n\n")[2]


def test_the_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bundle", "--help"])
    shown = capsys.readouterr().out
    assert all(f"\n    {action} " in shown for action in ACTIONS)


def test_keygen_writes_a_pair_says_its_id_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bundle", "keygen", "-o", str(tmp_path / "owner")]
    assert main(arguments) == 0
    key = read_secret_key(tmp_path / "owner.key")
    assert read_public_key(tmp_path / "owner.pub") == key.public_key
    said = capsys.readouterr().out
    assert f"Key {key.public_key.name}" in said
    assert 'keys = ["owner.pub"]' in said
    assert main(arguments) == 25
    assert "never overwritten" in capsys.readouterr().err
    assert read_secret_key(tmp_path / "owner.key") == key


def test_sign_replaces_the_file_and_keeps_its_mode(
    owner: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.chmod(0o640)
    assert sign(small, owner) == 0
    key = read_public_key(Path(f"{owner}.pub"))
    assert check_signature(open_bundle(small), [key]) == key
    assert stat.S_IMODE(small.stat().st_mode) == 0o640
    assert f"signed with key {key.name}" in capsys.readouterr().out
    assert sorted(path.name for path in small.parent.iterdir()) == ["owner.key", "owner.pub", "small.lsib"]


def test_sign_writes_a_copy_and_leaves_the_original(owner: Path, small: Path, tmp_path: Path) -> None:
    assert sign(small, owner, "-o", str(tmp_path / "signed.lsib")) == 0
    assert small.read_bytes() == small_bundle()
    assert open_bundle(tmp_path / "signed.lsib").signature is not None


def test_sign_follows_a_link_and_leaves_it_one(owner: Path, small: Path, tmp_path: Path) -> None:
    link = tmp_path / "current.lsib"
    link.symlink_to(small)
    assert sign(link, owner) == 0
    assert link.is_symlink()
    assert open_bundle(small).signature is not None


def test_sign_does_not_write_over_another_file(
    owner: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = Path(f"{owner}.key").read_bytes()
    assert sign(small, owner, "-o", f"{owner}.key") == 3
    assert "exists. Try: another name" in capsys.readouterr().err
    assert Path(f"{owner}.key").read_bytes() == secret
    assert sign(small, owner, "-o", str(small)) == 0


def test_a_signing_that_fails_half_way_leaves_the_file_as_it_was(
    owner: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert sign(small, owner) == 3
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert small.read_bytes() == small_bundle()
    assert sorted(path.name for path in small.parent.iterdir()) == ["owner.key", "owner.pub", "small.lsib"]


def test_sign_refuses_a_key_that_others_can_read(
    owner: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(f"{owner}.key").chmod(0o644)
    assert sign(small, owner) == 25
    assert f"Try: chmod 600 {owner}.key" in capsys.readouterr().err
    assert small.read_bytes() == small_bundle()


def test_sign_refuses_a_damaged_bundle_and_one_that_sees_too_much(owner: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.lsib"
    damaged.write_bytes(small_bundle()[:-1024])
    assert sign(damaged, owner) == 15
    wide = tmp_path / "wide.lsib"
    wide.write_bytes(bundle_of(65))
    assert sign(wide, owner) == 24


def bundle_of(d: int) -> bytes:
    generator = np.random.default_rng(5)
    bounds = json.dumps({"measurement_low": [-1] * d, "measurement_high": [1] * d})
    golden = json.dumps({"inputs": [[0] * d], "logits": [[0] * 3], "tolerance": 1})
    masks = np.packbits(generator.random(d * 128) < 0.5).tobytes()
    files = small_files(masks=masks, calibration=bounds.encode(), golden=golden.encode())
    return write_bundle(small_manifest(files, d=d, width=16), files)


def test_verify_says_ok_to_every_check(signed: SignedCopy, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(signed.bundle), "--key", str(signed.public_key)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:34].strip() for line in lines] == [
        "ok      archive and digests",
        "ok      signature",
        "ok      compatible board",
        "ok      d and mask rank",
        "ok      expiry",
        "ok      tensors and quantization",
        "ok      golden vectors",
    ]
    assert signed.key_name in lines[1]


def test_verify_says_what_failed_and_what_was_not_tried(
    owner: Path, signed: SignedCopy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "verify", str(signed.bundle), "--key", f"{owner}.pub"]) == 22
    captured = capsys.readouterr()
    words = [line.split()[0] for line in captured.out.splitlines()]
    assert words == ["ok", "failed", "-", "-", "-", "-", "-"]
    assert "Try: lsi bundle sign" in captured.err


def test_verify_accepts_any_of_several_keys_and_asks_for_one(
    owner: Path, signed: SignedCopy, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [f"{owner}.pub", str(signed.public_key)]
    assert main(["bundle", "verify", str(signed.bundle), "--key", *keys]) == 0
    with pytest.raises(SystemExit) as stopped:
        main(["bundle", "verify", str(signed.bundle)])
    assert stopped.value.code == 2
    assert "--key" in capsys.readouterr().err


def test_inspect_shows_identity_signer_figures_and_no_golden_value(
    signed: SignedCopy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "inspect", str(signed.bundle)]) == 0
    text = capsys.readouterr().out
    assert main(["bundle", "inspect", str(signed.bundle), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert f"key {signed.key_name} (not verified)" in text
    assert "| Smiling | " in text
    assert document["signed_by"] == signed.key_name
    assert document["manifest"]["name"] == "attr-lite-16"
    assert document["members"]["masks.bin"] == 8192
    assert document["mask_rank"] == 16
    golden = json.loads(open_bundle(signed.bundle).members["golden.json"])
    values = [*np.ravel(golden["inputs"]).tolist(), *np.ravel(golden["logits"]).tolist()]
    written = {str(value)[:7] for value in values if len(str(value)) >= 7}
    assert len(written) > 100
    assert [value for value in written if value in text + json.dumps(document)] == []


def test_diff_names_fields_and_members(
    owner: Path, tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**small_files(MODEL_CARD=b"# Other\n"), "audit.json": b"{}"}
    other = tmp_path / "other.lsib"
    other.write_bytes(write_bundle(small_manifest(files, version="1.2.4"), files))
    assert sign(other, owner) == 0
    capsys.readouterr()
    assert main(["bundle", "diff", str(small), str(other)]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {"version", "signature", "signed by", "MODEL_CARD.md", "audit.json"}
    assert lines["version"] == "1.2.3 -> 1.2.4"
    assert lines["signed by"].startswith("nobody -> key ")
    assert lines["audit.json"].startswith("absent -> 2 bytes ")


def test_diff_of_a_bundle_with_itself_says_so(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "diff", str(small), str(small)]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_the_shipped_bundle_is_not_signed() -> None:
    assert read_bundle(shipped_bundle()).manifest.signature is None
