import datetime as dt
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.audit.document import JSON, PAGE, SIGNATURE, complete, write
from lab.audit.page import page
from lab.audit.verdicts import Limits
from lab.bundles import shipped_bundle
from lsi.bundle import read_bundle
from lsi.errors import ConfigError, DataError, SignatureMismatchError
from lsi.minisign import SecretKey, Signature

BUNDLE = read_bundle(shipped_bundle())
TODAY = dt.date(2026, 11, 23)
FIGURES = {
    "people": 50, "chance_rank1": 0.02, "rank1": 0.04, "rank1_95": [0.02, 0.06], "rank10": 0.3,
    "rank10_95": [0.2, 0.4],
    "rank1_over_chance": 2.0, "rank1_over_chance_95": [1.0, 3.0], "auc": 0.6, "auc_95": [0.5, 0.7],
    "eer": 0.4, "eer_95": [0.3, 0.5], "tar": 0.002, "tar_95": [0.0, None],
    "open_set": 0.0, "open_set_chance": 0.0004,
}  # fmt: skip
MESSAGES = {
    "declared_bits": 6.4, "distinct": 9, "entropy_bits": 2.2, "entropy_plug_in_bits": 2.1,
    "collision_entropy_bits": 1.9, "entropy_with_presence_bits": 2.6, "alone_share": 0.0,
    "fewer_than_5_share": 0.1, "fano_rank1_at_most": 0.5, "counting_rank1_at_most": 0.2,
}  # fmt: skip
SEEN = {"finder": "nearest", "verifier": "nearest", "attackers": {"nearest": FIGURES}}
AVERAGED = ("rank1_over_chance", "rank1_over_chance_95", "auc", "auc_95")
AUC = {"auc": 0.7, "auc_95": [0.6, 0.8], "chance": 0.5}
MEMBER: dict[str, Any] = {
    "people": 50, "visits": 20, "windows": 1000, "chance": 0.02, "rate": 0.02, "over_chance": 1.0,
    "over_chance_99": [0.9, 1.08],
}  # fmt: skip
COUNTED: dict[str, Any] = {
    "mechanism": "discrete Laplace",
    "attributes": ["Smiling"],
    "membership": MEMBER,
    "insider": {**MEMBER, "over_chance": 1.3},
    "epsilon": [{"name": "busy, all", "at_least": 0.7, "claimed": 1.0, "holds": True}],
}


def found(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    rebuilt = {
        "best": "linear MMSE", "trivial": ["mean face"],
        "estimators": {
            "mean face": {"psnr_db": 12.0, "ssim": 0.3}, "linear MMSE": {"psnr_db": 14.0, "ssim": 0.4},
        },
    }  # fmt: skip
    lite = {
        "sent": True, "image_equivalent": False, "attributes": ["Smiling"],
        "channel": MESSAGES, "identification": SEEN,
        "true_labels": {**SEEN, "channel": MESSAGES}, "withheld": {"Male": AUC}, "reconstruction": rebuilt,
    }  # fmt: skip
    bits = {
        "declared_bits": 192.0,
        "gaussian_bits": 68.0,
        "effective_bits_per_mask": 4.2,
        "fano_rank1_at_most": 1.0,
    }
    raw = {
        **lite,
        "sent": False,
        "image_equivalent": True,
        "attributes": [],
        "channel": bits,
        "true_labels": None,
    }
    people = {"learn": 90, "tune": 50, "report": 50}
    fields: dict[str, Any] = {
        "data": {
            "file": "val.npz", "sha256": "0" * 64, "learned_from": "train <b>.npz", "people": people,
            "pictures": people, "dropped": 0,
        },
        "sensor": "100 nW white, sim-mcp3208",
        "views": {"attr-lite": lite, "measurement": raw},
        "real_picture": FIGURES,
        "averaging": [{"messages": n, **{key: FIGURES[key] for key in AVERAGED}} for n in (1, 4)],
        "aggregation": COUNTED,
        "static": [{"name": "mask rank", "found": "16", "holds": True}],
    }  # fmt: skip
    return {**fields, **changes}


def test_the_document_names_the_bundle_by_its_content_and_says_whether_all_holds() -> None:
    document = complete(BUNDLE, found(), Limits(), TODAY)
    assert document["bundle"]["content_id"] == BUNDLE.manifest.content_id
    assert document["holds"] is True
    assert len(document["verdicts"]) == 6
    strict = complete(BUNDLE, found(), Limits(attr_lite_verification_auc=0.55), TODAY)
    assert strict["holds"] is False


def test_a_field_that_the_schema_does_not_know_is_refused() -> None:
    with pytest.raises(DataError, match="unknown key 'pictures'"):
        complete(BUNDLE, found(pictures=["a picture"]), Limits(), TODAY)
    with pytest.raises(DataError, match="learned_from"):
        complete(BUNDLE, found(data={**found()["data"], "learned_from": 3}), Limits(), TODAY)


def test_a_signed_audit_is_verified_by_minisign(tmp_path: Path, minisign_path: str) -> None:
    key = SecretKey.generate()
    document = complete(BUNDLE, found(), Limits(), TODAY)
    written = write(tmp_path / "new" / "folder", document, "<html>", key)
    public = tmp_path / "owner.pub"
    public.write_bytes(key.public_key.to_text())
    result = subprocess.run(
        [minisign_path, "-V", "-p", public, "-m", written.document],
        capture_output=True,
        text=True,
        check=True,
    )
    assert BUNDLE.manifest.content_id in result.stdout


def test_a_changed_audit_is_not_what_was_signed(tmp_path: Path) -> None:
    key = SecretKey.generate()
    written = write(tmp_path, complete(BUNDLE, found(), Limits(), TODAY), "<html>", key)
    assert written.signature == tmp_path / SIGNATURE
    signature = Signature.parse(written.signature.read_bytes(), "audit")
    content = written.document.read_bytes()
    key.public_key.check(signature, content)
    with pytest.raises(SignatureMismatchError):
        key.public_key.check(signature, content.replace(b"true", b"false", 1))


def test_an_old_signature_does_not_stay_beside_a_new_audit(tmp_path: Path) -> None:
    document = complete(BUNDLE, found(), Limits(), TODAY)
    write(tmp_path, document, "<html>", SecretKey.generate())
    assert write(tmp_path, document, "<html>", None).signature is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [PAGE, JSON]
    assert json.loads((tmp_path / JSON).read_text("utf-8")) == json.loads(json.dumps(document))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ConfigError, match="cannot be written to"):
        write(tmp_path / "file", complete(BUNDLE, found(), Limits(), TODAY), "", None)


def test_the_page_says_all_and_shows_nobody() -> None:
    text = page(complete(BUNDLE, found(), Limits(), TODAY))
    assert "keeps every limit" in text
    for words in (BUNDLE.manifest.content_id, "true labels", "the real picture", "Fano", "mask rank", "Male"):
        assert words in text
    assert re.search("<img|<image|<script|data:image|https?://", text) is None
    assert "train &lt;b&gt;.npz" in text
    assert text.count("<svg") == 4


def test_the_page_says_first_what_can_leave() -> None:
    views = found()["views"]
    lite = {**views["attr-lite"], "attributes": ["Wearing_Hat", "Smiling"]}
    latent = {**views["measurement"], "sent": True}
    text = page(
        complete(BUNDLE, found(views={**views, "attr-lite": lite, "latent": latent}), Limits(), TODAY)
    )
    first = text[: text.index("Does it keep its limits?")]
    assert (
        "in mode attr-lite whether there is a face, and yes, no or nothing about Wearing Hat, Smiling"
        in first
    )
    assert "in mode latent a sealed latent, which is as good as a picture" in first
    assert "measurement" not in first


def test_a_broken_limit_stands_at_the_top_of_the_page() -> None:
    text = page(complete(BUNDLE, found(), Limits(attr_lite_entropy_bits=1.0), TODAY))
    assert "does NOT keep every limit" in text
    assert "BROKEN" in text


def test_a_limit_that_too_few_windows_could_not_decide_is_neither_kept_nor_broken() -> None:
    wide = {**COUNTED, "membership": {**MEMBER, "over_chance_99": [0.8, 1.3]}}
    document = complete(BUNDLE, found(aggregation=wide), Limits(), TODAY)
    assert (document["verdict"], document["holds"]) == ("not decided", False)
    text = page(document)
    assert "<b>Not decided</b>" in text
    assert "NOT DECIDED" in text
    assert re.search("some [0-9],000 windows would tell", text)
    assert "keeps every limit that" not in text


def test_what_was_not_done_is_left_out_of_the_page() -> None:
    bare = found(real_picture=None, averaging=[], aggregation=None)
    text = page(complete(BUNDLE, bare, Limits(), TODAY))
    assert "Not attacked: no counts" in text
    assert "Waiting for more messages" not in text
    assert '<td class="text">the real picture' not in text
