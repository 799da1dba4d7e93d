"""``BundleManifest``: what a bundle says about itself, and the digests that hold it to it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lsi.disclosure import PayloadMode
from lsi.errors import BundleError, DigestMismatchError, SignatureMismatchError
from lsi.frozen import digest_of
from lsi.latent import LatentForm
from lsi.schema import check

FORMAT: Final = "lsi.bundle/1"
MANIFEST: Final = "manifest.json"
MANIFEST_DIGEST: Final = "manifest.json.sha256"
MANIFEST_SIGNATURE: Final = "manifest.json.minisig"
OF_MANIFEST: Final = frozenset({MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE})
"""Members that the manifest does not list, because they depend on it."""
OUTSIDE_CONTENT_ID: Final = frozenset({"audit.json", "parity.json", "MODEL_CARD.md"})
"""Members that describe the content and may be written after it has its id."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size and SHA-256 of one member."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "FileEntry":
        """The entry that belongs to ``content``."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """Identity, geometry and file digests of a bundle.

    ``content_id`` is the hash of everything but audit and card. ``security_epoch`` and
    ``expires`` are read at install; ``signature`` names the member that signs this
    manifest (``MANIFEST_SIGNATURE``) and is ``None`` while a bundle is unsigned (ADR 0007). ``latent``
    is the latent space of the model's offsets, ``None`` in every bundle whose mode is not ``latent``:
    its model has no such output.
    """

    name: str
    version: str
    content_id: str
    created: str
    expires: str | None
    security_epoch: int
    compatible: tuple[str, ...]
    mode: str
    d: int
    height: int
    width: int
    arms: int
    scene_transfer: str
    signature: str | None
    files: Mapping[str, FileEntry]
    latent: LatentForm | None = None

    @property
    def short_id(self) -> str:
        """The first 8 digits of ``content_id``, as payloads carry it."""
        return self.content_id[:8]

    def to_json(self) -> bytes:
        """Canonical JSON (RFC 8785: only strings, whole numbers and null occur)."""
        document = {"format": FORMAT, **asdict(self)}
        if self.latent is None:
            del document["latent"]
        return canonical_json(document)


def canonical_json(document: object) -> bytes:
    """Sorted keys, no blanks, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def content_id_of(files: Mapping[str, FileEntry]) -> str:
    """The id of a bundle whose members are ``files``."""
    named = sorted(files.items())
    return digest_of(
        *(
            f"{name}:{entry.size}:{entry.sha256}".encode()
            for name, entry in named
            if name not in OUTSIDE_CONTENT_ID
        )
    )


def parse_manifest(members: Mapping[str, bytes], source: str) -> BundleManifest:
    """Read the manifest among ``members`` and hold every other member to its digest.

    Raises:
        BundleError: No manifest, or one that breaks its schema.
        DigestMismatchError: A member is missing, surplus or changed; it is named.
        SignatureMismatchError: A signature where the manifest names none, or the reverse.
    """
    if MANIFEST not in members or MANIFEST_DIGEST not in members:
        raise BundleError(f"{source} holds no manifest.", hint="a file made by 'lsi export'.")
    _check_manifest_digest(members, source)
    try:
        document: dict[str, Any] = json.loads(members[MANIFEST])
    except (ValueError, RecursionError) as cause:
        raise BundleError(f"{source}: manifest.json is not JSON.") from cause
    check(document, "manifest", error=BundleError, source=source)
    if (document["mode"] == PayloadMode.LATENT) != ("latent" in document):
        found = f"{source}: mode '{document['mode']}' and field 'latent' contradict each other."
        raise BundleError(found, hint="export the bundle again.")
    manifest = _from_document(document)
    if manifest.to_json() != members[MANIFEST]:
        found = f"{source}: manifest.json is not written in canonical form."
        raise DigestMismatchError(found, hint="export the bundle again.")
    _check_signature_field(manifest, members, source)
    _check_members(manifest, members, source)
    return manifest


def manifest_digest(manifest: bytes) -> bytes:
    """Content of the member ``manifest.json.sha256``, in the form of ``sha256sum``."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _from_document(document: Mapping[str, Any]) -> BundleManifest:
    fields = {key: value for key, value in document.items() if key != "format"}
    fields["compatible"] = tuple(fields["compatible"])
    if "latent" in fields:
        fields["latent"] = LatentForm(**fields["latent"])
    fields["files"] = {name: FileEntry(**entry) for name, entry in fields["files"].items()}
    return BundleManifest(**fields)


def _check_manifest_digest(members: Mapping[str, bytes], source: str) -> None:
    if members[MANIFEST_DIGEST] != manifest_digest(members[MANIFEST]):
        found = f"{source}: manifest.json is not the file that {MANIFEST_DIGEST} names."
        raise DigestMismatchError(found, hint="copy or export the file again.")


def _check_signature_field(manifest: BundleManifest, members: Mapping[str, bytes], source: str) -> None:
    if (manifest.signature is None) == (MANIFEST_SIGNATURE not in members):
        return
    says = "unsigned" if manifest.signature is None else f"signed by {MANIFEST_SIGNATURE}"
    is_there = "is there" if MANIFEST_SIGNATURE in members else "is missing"
    found = f"{source}: the manifest says {says}, and {MANIFEST_SIGNATURE} {is_there}."
    raise SignatureMismatchError(found, hint="copy the bundle again.")


def _check_members(manifest: BundleManifest, members: Mapping[str, bytes], source: str) -> None:
    present = set(members) - OF_MANIFEST
    wrong = [f"{name} (surplus)" for name in sorted(present - set(manifest.files))]
    wrong += [f"{name} (missing)" for name in sorted(set(manifest.files) - present)]
    wrong += [
        f"{name} (changed)"
        for name, entry in sorted(manifest.files.items())
        if name in present and FileEntry.of(members[name]) != entry
    ]
    if wrong:
        found = f"{source}: not as the manifest says: {', '.join(wrong)}."
        raise DigestMismatchError(found, hint="copy or export the file again.")
    if manifest.content_id != content_id_of(manifest.files):
        found = f"{source}: content_id does not belong to the listed files."
        raise DigestMismatchError(found, hint="copy or export the file again.")
