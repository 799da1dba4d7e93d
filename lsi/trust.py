"""Who signed a bundle, and whether that counts here (ADR 0007)."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lsi.bundle import BundleFile, write_bundle
from lsi.errors import (
    BundleError,
    SignatureMismatchError,
    UnsignedBundleError,
    UntrustedKeyError,
)
from lsi.manifest import MANIFEST_SIGNATURE, BundleManifest
from lsi.minisign import PublicKey, SecretKey, Signature

MAX_TRUSTED: Final = 3
"""Keys that one device trusts: the owner's, its successor and one for emergencies."""
UNTRUSTED_COMMENT: Final = "signature of an lsi bundle"
_COPY_AGAIN: Final = "copy the bundle again, or sign it yourself: "


def sign_command(bundle: Path) -> str:
    """The command that makes a bundle acceptable to its owner's devices."""
    return f"lsi bundle sign {shlex.quote(str(bundle))} --key owner.key"


def trusted_comment(manifest: BundleManifest) -> str:
    """What ``minisign -V`` tells a person about the signed bundle."""
    return f"lsi bundle {manifest.name} {manifest.version} {manifest.content_id}"


def sign_bundle(file: BundleFile, key: SecretKey) -> bytes:
    """The bytes of ``file`` with a signature by ``key``, instead of any that it has.

    Of the manifest only the field ``signature`` changes, and that only in an unsigned
    bundle; ``content_id`` stays.

    Raises:
        BundleError: A name that no comment can hold.
    """
    manifest = replace(file.manifest, signature=MANIFEST_SIGNATURE)
    try:
        signature = key.sign(manifest.to_json(), trusted_comment(manifest))
    except ValueError as cause:
        found = f"{file.source.name}: name or version cannot be written in one line."
        raise BundleError(found, hint="export the bundle again.") from cause
    return write_bundle(manifest, file.files, signature.to_text(UNTRUSTED_COMMENT))


def signature_of(file: BundleFile) -> Signature | None:
    """The signature in ``file``, not verified; ``None`` in an unsigned bundle.

    Raises:
        SignatureMismatchError: The member is no signature of a bundle.
    """
    if file.signature is None:
        return None
    signature = Signature.parse(file.signature, f"{file.source.name}: {MANIFEST_SIGNATURE}")
    if signature.to_text(UNTRUSTED_COMMENT) != file.signature:
        found = f"{file.source.name}: {MANIFEST_SIGNATURE} is not written in canonical form."
        raise SignatureMismatchError(found, hint=_COPY_AGAIN + sign_command(file.source))
    return signature


def check_signature(file: BundleFile, trusted: Sequence[PublicKey]) -> PublicKey:
    """The one of ``trusted`` that signed ``file``.

    Raises:
        UnsignedBundleError: Nobody signed it.
        UntrustedKeyError: It claims to be signed with a key that is not among ``trusted``.
        SignatureMismatchError: Manifest or trusted comment is not what was signed.
    """
    signature = signature_of(file)
    if signature is None:
        raise UnsignedBundleError(f"{file.source.name} is not signed.", hint=sign_command(file.source))
    candidates = [key for key in trusted if key.key_id == signature.key_id]
    if not candidates:
        known = ", ".join(key.name for key in trusted) or "none"
        found = f"{file.source.name} is signed with key {signature.key_name}; trusted are: {known}."
        raise UntrustedKeyError(found, hint=sign_command(file.source))
    try:
        _check_with(candidates[0], signature, file)
    except SignatureMismatchError as cause:
        found = f"{file.source.name}: {cause.found}"
        raise SignatureMismatchError(found, hint=_COPY_AGAIN + sign_command(file.source)) from cause
    return candidates[0]


def _check_with(key: PublicKey, signature: Signature, file: BundleFile) -> None:
    # The comment first: once it is known to be genuine, it tells what the signature belongs to.
    key.check_comment(signature)
    expected = trusted_comment(file.manifest)
    if signature.trusted_comment != expected:
        found = f"The signature is one of '{signature.trusted_comment}', not of '{expected}'."
        raise SignatureMismatchError(found)
    key.check(signature, file.signed)
