"""``audit.json``: put together, held to its schema, written and signed."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from lab.audit.verdicts import HOLDS, Limits, overall, verdicts
from lsi.bundle import Bundle
from lsi.errors import ConfigError, DataError
from lsi.minisign import SecretKey
from lsi.schema import check
from lsi.whole_file import whole_file
from training.scores.figures import finite

FORMAT: Final = "lsi.audit/1"
JSON: Final = "audit.json"
SIGNATURE: Final = "audit.json.minisig"
PAGE: Final = "audit.html"
UNTRUSTED_COMMENT: Final = "signature of an lsi audit"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """Where the results lie; ``signature`` is ``None`` for an unsigned audit."""

    document: Path
    page: Path
    signature: Path | None


def complete(bundle: Bundle, found: Mapping[str, Any], limits: Limits, today: dt.date) -> Document:
    """The whole document: what it is about, what was found, which limits hold.

    Args:
        bundle: What was audited; its ``content_id`` is named.
        found: ``data``, ``sensor``, ``views``, ``real_picture``, ``averaging``, ``aggregation``, ``static``.
        limits: What has to hold.
        today: The date that it carries.

    Raises:
        DataError: A field that the schema does not know; a fault of this program.
    """
    manifest = bundle.manifest
    document: Document = {
        "v": FORMAT,
        "tool": f"lsi-host {version('lsi-host')}",
        "date": today.isoformat(),
        "bundle": {
            "name": manifest.name,
            "version": manifest.version,
            "content_id": manifest.content_id,
            "mode": manifest.mode,
            "d": manifest.d,
        },
        **finite(dict(found)),
    }
    document["verdicts"] = finite(verdicts(document, limits))
    document["verdict"] = overall(document["verdicts"])
    document["holds"] = document["verdict"] == HOLDS
    check(document, "audit", error=DataError, source=JSON)
    return document


def write(folder: Path, document: Document, page: str, key: SecretKey | None) -> Written:
    """Write document, page and, with a key, the signature; each file is there whole or not at all.

    An older signature is removed first: it does not belong to the new document.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    encoded = (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    signature = folder / SIGNATURE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        signature.unlink(missing_ok=True)
        _put(folder / JSON, encoded)
        _put(folder / PAGE, page.encode())
        if key is not None:
            _put(signature, key.sign(encoded, trusted_comment(document)).to_text(UNTRUSTED_COMMENT))
    except OSError as cause:
        found = f"{folder} cannot be written to ({cause.strerror})."
        raise ConfigError(found, hint="another folder with --out.") from cause
    return Written(folder / JSON, folder / PAGE, None if key is None else signature)


def trusted_comment(document: Mapping[str, Any]) -> str:
    """What ``minisign -V`` tells a person about a signed audit."""
    bundle = document["bundle"]
    return f"lsi audit of {bundle['name']} {bundle['version']} {bundle['content_id']}"


def _put(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
