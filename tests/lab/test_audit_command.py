import json
from pathlib import Path
from typing import Any

import pytest

from host.cli import main
from lab import audit_command
from lab.audit.document import Written
from lab.bundles import shipped_bundle
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey, Signature
from tests.lab.audit.crowd import faces_file
from tests.lab.audit.tiny_onnx import tiny_network

BUNDLE = str(shipped_bundle("attr-lite-4-0.2.0.lsib"))
"""The smallest one: 4 masks."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faces_file(tmp_path_factory.mktemp("data") / "faces.npz", 36, 3, landmarks=True)


@pytest.fixture(scope="module")
def audited(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One audit with everything, of people who are clouds."""
    folder = tmp_path_factory.mktemp("audited")
    write_key_pair(SecretKey.generate(), folder / "owner")
    network = tiny_network(folder / "net.onnx")
    others = faces_file(folder / "others.npz", 30, 3, seed=5)
    arguments = ["--data", str(data), "--learn", str(others), "--key", str(folder / "owner.key")]
    limits = folder / "limits.toml"
    limits.write_text(
        "attr_lite_verification_auc = 1.0\nattr_lite_rank1_over_chance = 20\n"
        "agg_rank1_over_chance_upper = 20\n",
        "utf-8",
    )
    arguments += [
        "--windows",
        "200",
        "--limits",
        str(limits),
        "--recognition",
        str(network),
        "--out",
        str(folder / "out"),
    ]
    assert main(["audit", BUNDLE, *arguments]) == 0
    return folder


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "audit.json").read_text("utf-8"))
    return found


def test_an_audit_tells_what_leaves_from_what_stays(audited: Path) -> None:
    found = document(audited)
    assert {name: view["sent"] for name, view in found["views"].items()} == {
        "attr-lite": True, "logits": False, "measurement": False,
    }  # fmt: skip
    raw = found["views"]["measurement"]
    assert set(raw["identification"]["attackers"]) == {
        "nearest",
        "likelihood",
        "logistic",
        "mlp",
        "recognition",
    }
    assert "identity_cosine" in raw["reconstruction"]["estimators"]["decoder"]
    assert set(found["views"]["attr-lite"]["withheld"]) <= {"Male"}
    assert found["real_picture"]["rank1_over_chance"] > 5
    assert [row["messages"] for row in found["averaging"]] == [1, 4, 16]
    assert found["aggregation"]["membership"]["windows"] == 200
    assert all(case["holds"] for case in found["aggregation"]["epsilon"])


def test_clouds_of_one_person_are_found_by_the_measurement_and_guessed_better_than_by_a_neighbour(
    audited: Path,
) -> None:
    raw = document(audited)["views"]["measurement"]
    assert raw["identification"]["attackers"]["likelihood"]["rank1_over_chance"] > 3
    quality = {name: row["psnr_db"] for name, row in raw["reconstruction"]["estimators"].items()}
    assert quality["linear MMSE"] > quality["nearest training face"]


def test_nobody_is_in_two_parts_and_all_people_are_counted(audited: Path) -> None:
    parts = document(audited)["data"]
    people = parts["people"]
    assert people["tune"] + people["report"] == 36
    assert people["learn"] == 30
    assert parts["pictures"] == {name: 3 * count for name, count in people.items()}
    assert parts["learned_from"] == "others.npz"


def test_the_owner_has_signed_what_lies_there(audited: Path) -> None:
    key = (audited / "owner.key").read_bytes()
    signature = Signature.parse((audited / "out" / "audit.json.minisig").read_bytes(), "audit")
    SecretKey.parse(key, "key").public_key.check(signature, (audited / "out" / "audit.json").read_bytes())
    assert sorted(path.name for path in (audited / "out").iterdir()) == [
        "audit.html", "audit.json", "audit.json.minisig",
    ]  # fmt: skip


def test_no_picture_and_no_measurement_is_in_the_results(audited: Path) -> None:
    page = (audited / "out" / "audit.html").read_text("utf-8")
    assert "<img" not in page
    assert "data:image" not in page
    assert len((audited / "out" / "audit.json").read_bytes()) < 60_000


def with_verdict(found: dict[str, Any], verdict: str, **changes: int) -> dict[str, Any]:
    first = {**found["verdicts"][0], "verdict": verdict, "holds": False, **changes}
    return {**found, "verdict": verdict, "holds": False, "verdicts": [first]}


def test_a_limit_that_is_not_decided_has_an_exit_code_of_its_own_and_says_what_would_decide(
    audited: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unclear = with_verdict(document(audited), "not decided", decided_by=90_000)
    written = Written(audited / "audit.json", audited / "audit.html", None)
    monkeypatch.setattr(audit_command, "_audited", lambda _: (unclear, written))
    assert main(["audit", BUNDLE, "--data", "any.npz"]) == 37
    told = capsys.readouterr()
    assert "Not decided: attr_lite_rank1_over_chance" in told.err
    assert "--windows 90000" in told.err
    assert "not decided attr_lite_rank1_over_chance" in told.out


def test_a_broken_limit_is_told_by_the_exit_code(
    audited: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = with_verdict(document(audited), "broken")
    written = Written(audited / "audit.json", audited / "audit.html", None)
    monkeypatch.setattr(audit_command, "_audited", lambda _: (broken, written))
    assert main(["audit", BUNDLE, "--data", "any.npz"]) == 36
    told = capsys.readouterr()
    assert "Limits are broken: attr_lite_rank1_over_chance" in told.err
    assert "BROKEN      attr_lite_rank1_over_chance" in told.out
    assert "not signed" in told.out


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--key", "absent.key"], 25, "cannot be read"),
        (["--limits", "absent.toml"], 3, "cannot be read"),
        (["--recognition", "absent.onnx"], 3, "No recognition network"),
        (["--board", "absent"], 3, "absent"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, reason: str
) -> None:
    assert main(["audit", BUNDLE, "--data", str(data), *arguments]) == code
    told = capsys.readouterr()
    assert reason in told.err
    assert "reading" not in told.err


def test_data_without_two_pictures_of_anybody_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lonely = faces_file(tmp_path / "f.npz", 20, 1)
    assert main(["audit", BUNDLE, "--data", str(lonely)]) == 20
    assert "one picture of each person" in capsys.readouterr().err


def test_proxies_are_measured_from_the_labels_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "proxies", "--data", str(data), "--of", "Male", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["of"]["Male"]["proxies"]) == {
        "Eyeglasses",
        "Mouth_Slightly_Open",
        "Smiling",
        "Wearing_Hat",
    }
    assert main(["audit", "proxies", "--data", str(data), "--of", "Male"]) == 0
    assert "Male:" in capsys.readouterr().out
    assert main(["audit", "proxies", "--data", str(data), "--of", "Height"]) == 3
