"""Bytes as a bundle, and as any one part of it behind sound digests: what the fuzzer calls.

Random bytes alone never get past the first digest. The first byte therefore chooses what the rest is: a whole
archive, a manifest, one member of a bundle whose manifest is written anew, a signature or a key. Whatever
it is must end in a result or in an error of the project; anything else is a finding.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from lsi.archive import pack, unpack
from lsi.bundle import REQUIRED, open_archive, parse_bundle, write_bundle
from lsi.errors import LsiError
from lsi.manifest import MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE, manifest_digest
from lsi.minisign import PublicKey, SecretKey, Signature
from lsi.trust import check_signature, sign_bundle
from tests.bundles import small_bundle, small_files, small_manifest

KEY: Final = SecretKey(bytes(8), bytes(range(32)))
STEMS: Final = sorted(name.split(".")[0] for name in REQUIRED)
SOUND: Final = small_bundle()


def archive(content: bytes) -> None:
    """A whole bundle; one that is accepted has this one spelling."""
    parse_bundle(content, "fuzz")
    if pack(unpack(content, "fuzz")) != content:
        message = "two archives with one content"
        raise AssertionError(message)


def manifest(content: bytes) -> None:
    """A manifest that has its digest."""
    changed = {MANIFEST: content, MANIFEST_DIGEST: manifest_digest(content)}
    parse_bundle(pack(unpack(SOUND, "sound") | changed), "fuzz")


def member(content: bytes) -> None:
    """One member, named by the first byte, in a bundle whose digests are right."""
    files = small_files(**{STEMS[content[0] % len(STEMS)]: content[1:]})
    parse_bundle(write_bundle(small_manifest(files), files), "fuzz")


def signature(content: bytes) -> None:
    """A signature member. That of another content, or none of ours, must never count."""
    sound = open_archive(SOUND, Path("sound"))
    members = unpack(sign_bundle(sound, KEY), "sound")
    is_genuine = content == members[MANIFEST_SIGNATURE]
    file = open_archive(pack(members | {MANIFEST_SIGNATURE: content}), Path("fuzz"))
    check_signature(file, [KEY.public_key])
    if not is_genuine:
        message = "a signature that was not made with the key"
        raise AssertionError(message)


WAYS: Final[tuple[Callable[[bytes], object], ...]] = (
    archive,
    manifest,
    member,
    signature,
    lambda content: Signature.parse(content, "fuzz"),
    lambda content: PublicKey.parse(content, "fuzz"),
    lambda content: SecretKey.parse(content, "fuzz"),
)


def try_one(content: bytes) -> None:
    """Read ``content`` in the way its first byte names; a project error is an answer."""
    if len(content) < 2:  # noqa: PLR2004 - a way, and something to read
        return
    try:
        WAYS[content[0] % len(WAYS)](content[1:])
    except LsiError:
        return


def seeds() -> list[bytes]:
    """Inputs to begin with: each way with something sound."""
    files, key = small_files(), KEY.public_key.to_text()
    members = unpack(sign_bundle(open_archive(SOUND, Path("sound")), KEY), "sound")
    stems = {name.split(".")[0]: content for name, content in files.items()}
    signed = members[MANIFEST_SIGNATURE]
    whole = [SOUND, unpack(SOUND, "sound")[MANIFEST], signed, signed, key, KEY.to_text()]
    ways = (0, 1, 3, 4, 5, 6)
    return [bytes([way]) + each for way, each in zip(ways, whole, strict=True)] + [
        bytes([2, index]) + stems[stem] for index, stem in enumerate(STEMS)
    ]
