"""The policy of a device and its site, from their files; a bundle narrows it further."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lsi.attribute_classes import AttributeClasses, built_in_classes, read_classes
from lsi.attributes import ATTR_LITE
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import AppConfigError, SignatureMismatchError, UntrustedKeyError
from lsi.key_files import read_public_key
from lsi.minisign import Signature
from lsi.schema import check
from lsi.toml_file import read_toml

SIGNATURE_SUFFIX: Final = ".minisig"
MAX_OVERRIDE_BYTES: Final = 16_384
DEFAULT_MODE: Final = PayloadMode.ATTR_LITE


def configured_policy(document: Mapping[str, Any], base: Path, keys: Sequence[Path]) -> DisclosurePolicy:
    """The narrower of the section ``[policy]`` and of the site file that it names.

    Args:
        document: The checked configuration.
        base: Where its relative paths begin.
        keys: Public keys whose overrides count; the ones whose bundles run.

    Raises:
        AppConfigError: A file that cannot be read or is not what it should be.
        DisclosureError: It asks for an attribute that its mode does not let out.
        SignatureMismatchError: The override's signature is none, or of something else.
        UntrustedKeyError: Nobody trusted signed the override.
    """
    section: Mapping[str, Any] = document.get("policy", {})
    classes = _classes(section, base, document["device_id"], keys)
    mode = PayloadMode(section.get("mode", DEFAULT_MODE))
    policy = DisclosurePolicy(frozenset(section.get("attributes", ATTR_LITE)), mode, classes)
    if "site" not in section:
        return policy
    site = _site(base / section["site"])
    allowed = policy.allowed if "attributes" not in site else frozenset(site["attributes"])
    return policy.narrowed(allowed, PayloadMode(site["mode"]))


def _site(path: Path) -> Mapping[str, Any]:
    """What a site lets out; a file that is missing is no permission."""
    hint = "the file that policy.site names; docs/reference/policy.md."
    document = read_toml(path, "Site policy", error=AppConfigError, hint=hint)
    check(document, "site-policy", error=AppConfigError, source=str(path))
    return document


def _classes(
    section: Mapping[str, Any], base: Path, device_id: str, keys: Sequence[Path]
) -> AttributeClasses:
    classes = built_in_classes()
    if "classes" in section:
        classes = classes.with_domain(read_classes(base / section["classes"]))
    if "override" in section:
        classes = classes.lifted(_overridden(base / section["override"], device_id, keys))
    return classes


def _overridden(path: Path, device_id: str, keys: Sequence[Path]) -> frozenset[str]:
    """The attributes that the owner of this device has unblocked. What was not signed is not interpreted."""
    signed = _read(path)
    _check_signature(path, signed, keys)
    try:
        document = json.loads(signed)
    except (ValueError, RecursionError) as cause:
        raise AppConfigError(f"Override {path} is not JSON.", hint="docs/reference/policy.md.") from cause
    check(document, "override", error=AppConfigError, source=str(path))
    if document["device_id"] != device_id:
        found = f"Override {path} is for another device."
        raise AppConfigError(found, hint=f"an override that names device_id '{device_id}', signed.")
    return frozenset(document["attributes"])


def _check_signature(path: Path, signed: bytes, keys: Sequence[Path]) -> None:
    beside = path.with_name(path.name + SIGNATURE_SUFFIX)
    hint = f"minisign -S -s owner.key -m {path.name}"
    if not beside.exists():
        raise SignatureMismatchError(f"Override {path} is not signed.", hint=hint)
    signature = Signature.parse(_read(beside), str(beside))
    for key in map(read_public_key, keys):
        if key.key_id == signature.key_id:
            key.check(signature, signed)
            return
    found = f"Override {path} is signed with key {signature.key_name}, which is not trusted."
    raise UntrustedKeyError(found, hint=hint)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_OVERRIDE_BYTES + 1)
    except OSError as cause:
        found = f"Override {path} cannot be read ({cause.strerror})."
        raise AppConfigError(found, hint="the file that policy.override names.") from cause
    if len(content) > MAX_OVERRIDE_BYTES:
        raise AppConfigError(
            f"Override {path} is longer than {MAX_OVERRIDE_BYTES} bytes.", hint="one override."
        )
    return content
