"""A signed copy of a bundle for one run: for the demo and for tests."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsi.bundle import BundleFile, open_archive, open_bundle, write_bundle
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from lsi.trust import sign_bundle


@dataclass(frozen=True, slots=True)
class SignedCopy:
    """Where the copy and the public key lie."""

    bundle: Path
    public_key: Path
    key_name: str


def signed_copy(bundle: Path, folder: Path) -> SignedCopy:
    """Sign a copy of ``bundle`` in ``folder`` with a key that is made for it.

    The secret key stays in ``folder`` (mode 0600) and ends with it.

    Raises:
        BundleError: Not a bundle.
        KeyFileError: ``folder`` cannot be written to, or holds a key already.
    """
    key = SecretKey.generate()
    file = open_bundle(bundle)
    _, public = write_key_pair(key, folder / "throwaway")
    copy = folder / bundle.name
    copy.write_bytes(sign_bundle(file, key))
    return SignedCopy(copy, public, key.public_key.name)


def release_of(file: BundleFile, key: SecretKey, **manifest: Any) -> bytes:  # noqa: ANN401 - any field
    """The bundle ``file`` with other fields in its ``manifest``, a version say, signed with ``key``."""
    changed = replace(file.manifest, signature=None, **manifest)
    return sign_bundle(open_archive(write_bundle(changed, file.files), file.source), key)
