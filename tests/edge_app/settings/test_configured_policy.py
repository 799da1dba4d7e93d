"""The policy of a configuration: modes, site files that cannot widen, overrides and their signatures."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_app.settings.configured_policy import SIGNATURE_SUFFIX, configured_policy
from lsi.attributes import ATTR_LITE
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import AppConfigError, ConfigError, DisclosureError, SignatureMismatchError, UntrustedKeyError
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey

OWNER, STRANGER = SecretKey.generate(), SecretKey.generate()
OVERRIDE = {
    "v": "lsi.override/1",
    "device_id": "hall1",
    "attributes": ["Pale_Skin"],
    "reason": "A study of skin care, ethics vote 12.",
}


def configured(folder: Path, /, **policy: Any) -> DisclosurePolicy:  # noqa: ANN401 - any key
    public = folder / "owner.pub"
    if not public.exists():
        write_key_pair(OWNER, folder / "owner")
    return configured_policy({"device_id": "hall1", "policy": policy}, folder, [public])


def site(folder: Path, text: str) -> str:
    (folder / "site.toml").write_text(text, "utf-8")
    return "site.toml"


def override(folder: Path, content: object = OVERRIDE, key: SecretKey = OWNER, signed: object = None) -> str:
    written = json.dumps(content).encode()
    path = folder / "override.json"
    path.write_bytes(written)
    of = written if signed is None else json.dumps(signed).encode()
    path.with_name(path.name + SIGNATURE_SUFFIX).write_bytes(key.sign(of, "override").to_text("signed"))
    return path.name


def test_without_a_word_it_is_the_default(tmp_path: Path) -> None:
    assert configured(tmp_path) == DisclosurePolicy()


def test_modes_and_attributes_are_what_the_file_says(tmp_path: Path) -> None:
    policy = configured(tmp_path, mode="agg", attributes=["Smiling", "Male"])
    assert policy == DisclosurePolicy(frozenset({"Smiling", "Male"}), PayloadMode.AGG)


@pytest.mark.parametrize("mode", ["attr-lite", "attr", "latent"])
def test_a_restricted_attribute_per_person_is_refused_with_its_reason(tmp_path: Path, mode: str) -> None:
    with pytest.raises(DisclosureError, match="Male"):
        configured(tmp_path, mode=mode, attributes=["Male"])


def test_a_site_file_narrows(tmp_path: Path) -> None:
    policy = configured(tmp_path, site=site(tmp_path, 'mode = "agg"\nattributes = ["Smiling"]\n'))
    assert policy == DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.AGG)
    assert configured(tmp_path, site=site(tmp_path, 'mode = "agg"\n')).allowed == ATTR_LITE


@pytest.mark.parametrize(
    "text",
    ['mode = "latent"\n', 'mode = "attr"\nattributes = ["Smiling", "Male", "Pale_Skin", "Eyeglasses"]\n'],
)
def test_a_site_file_that_would_widen_does_not(tmp_path: Path, text: str) -> None:
    policy = configured(tmp_path, attributes=["Smiling"], site=site(tmp_path, text))
    assert policy == DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.ATTR_LITE)


@pytest.mark.parametrize("text", ["", 'mode = "raw"\n', 'mode = "agg"\nwiden = true\n', "mode =", "\0"])
def test_a_site_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AppConfigError, match=r"site\.toml"):
        configured(tmp_path, site=site(tmp_path, text))


def test_a_site_file_that_is_missing_is_no_permission(tmp_path: Path) -> None:
    with pytest.raises(AppConfigError, match="cannot be read"):
        configured(tmp_path, site="gone.toml")


def test_a_custom_domain_brings_its_classes(tmp_path: Path) -> None:
    door = {"Door_Open": {"class": "default", "reason": "tells of a door"}}
    document = {"v": "lsi.classes/1", "domain": "doors", "attributes": door}
    (tmp_path / "classes.json").write_text(json.dumps(document), "utf-8")
    policy = configured(tmp_path, mode="attr", attributes=["Door_Open"], classes="classes.json")
    assert policy.allowed == {"Door_Open"}
    with pytest.raises(DisclosureError, match="no table of classes names it"):
        configured(tmp_path, mode="attr", attributes=["Door_Open"])


def test_a_signed_override_lets_a_blocked_attribute_be_counted(tmp_path: Path) -> None:
    policy = configured(tmp_path, mode="agg", attributes=["Pale_Skin"], override=override(tmp_path))
    assert policy.allowed == {"Pale_Skin"}
    with pytest.raises(DisclosureError, match="Pale_Skin"):
        configured(tmp_path, mode="attr", attributes=["Pale_Skin"], override="override.json")


def test_an_override_without_a_signature_is_refused(tmp_path: Path) -> None:
    name = override(tmp_path)
    (tmp_path / (name + SIGNATURE_SUFFIX)).unlink()
    with pytest.raises(SignatureMismatchError, match="is not signed"):
        configured(tmp_path, override=name)


def test_an_override_that_a_stranger_signed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UntrustedKeyError, match=STRANGER.public_key.name):
        configured(tmp_path, override=override(tmp_path, key=STRANGER))


def test_an_override_that_was_changed_after_it_was_signed_is_refused(tmp_path: Path) -> None:
    more = {**OVERRIDE, "attributes": ["Pale_Skin", "Big_Lips"]}
    with pytest.raises(SignatureMismatchError):
        configured(tmp_path, override=override(tmp_path, more, signed=OVERRIDE))


@pytest.mark.parametrize(
    "content",
    [
        {**OVERRIDE, "device_id": "hall2"},
        {**OVERRIDE, "reason": ""},
        {**OVERRIDE, "attributes": []},
        {**OVERRIDE, "mode": "attr"},
        [],
        None,
    ],
)
def test_a_signed_override_that_is_none_or_not_ours_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConfigError, match=r"override\.json"):
        configured(tmp_path, override=override(tmp_path, content))


def test_an_override_of_what_is_not_blocked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DisclosureError, match="Male"):
        configured(tmp_path, override=override(tmp_path, {**OVERRIDE, "attributes": ["Male"]}))


@pytest.mark.parametrize(
    "signature", [b"", b"\xff" * 100, b"untrusted comment: x\nAAAA\ntrusted comment: y\nBBBB\n"]
)
def test_a_signature_that_is_none_is_refused(tmp_path: Path, signature: bytes) -> None:
    name = override(tmp_path)
    (tmp_path / (name + SIGNATURE_SUFFIX)).write_bytes(signature)
    with pytest.raises(SignatureMismatchError):
        configured(tmp_path, override=name)
