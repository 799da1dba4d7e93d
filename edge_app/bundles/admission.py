"""What a bundle has to pass before a device measures with it, in this order (ADR 0007)."""

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_app.inference.encoder import TfliteEncoder
from edge_app.inference.tflite_model import TfliteModel
from edge_app.settings.config import TrustSettings
from firmware.boards.board import Board
from lsi.bundle import Bundle, BundleFile, contents_of, open_bundle
from lsi.disclosure import PayloadMode
from lsi.errors import AppConfigError, BundleError, ShapeMismatchError
from lsi.key_files import read_public_key
from lsi.manifest import BundleManifest
from lsi.mask_rank import RANK_CAP, check_mask_rank
from lsi.minisign import PublicKey
from lsi.trust import check_signature

logger = logging.getLogger(__name__)


class Check(StrEnum):
    """The checks, in their order. What was not signed is not interpreted."""

    ARCHIVE = "archive and digests"
    SIGNATURE = "signature"
    BOARD = "compatible board"
    MASKS = "d and mask rank"
    EXPIRY = "expiry"
    MODEL = "tensors and quantization"
    GOLDEN = "golden vectors"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bundle is held to.

    ``mode`` is the widest payload mode that the device lets out; the masks may see no more
    than it allows, whatever the bundle says. ``today`` is compared with ``expires``.
    """

    trusted: tuple[PublicKey, ...]
    allow_unsigned: bool
    provides: frozenset[str]
    mode: PayloadMode
    today: dt.date

    @classmethod
    def of(cls, trust: TrustSettings, board: Board, mode: PayloadMode, today: dt.date) -> "Terms":
        """The terms of one device.

        Raises:
            AppConfigError: Unsigned bundles are allowed on a board that is not simulated.
            KeyFileError: A trusted key cannot be used.
        """
        if trust.allow_unsigned and not board.simulated:
            found = f"trust.allow_unsigned is set, and board '{board.name}' is not simulated."
            raise AppConfigError(
                found, hint='sign the bundle and name its key: [trust] keys = ["owner.pub"].'
            )
        keys = tuple(map(read_public_key, trust.keys))
        return cls(keys, trust.allow_unsigned, board.provides, mode, today)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A bundle that passed, and its model ready to run."""

    bundle: Bundle
    encoder: TfliteEncoder


Report = Callable[[Check, str], None]
"""Takes each check that was passed, and a remark for people."""


def admit(path: Path, terms: Terms, report: Report = lambda _check, _remark: None) -> Admitted:
    """Check the bundle at ``path``; the first check that fails ends it.

    An expired bundle that is otherwise good only warns: a sensor does not stop by itself.

    Raises:
        BundleError: The one of its kinds that says what is wrong.
    """
    return admit_file(open_bundle(path), terms, report)


def admit_file(file: BundleFile, terms: Terms, report: Report = lambda _check, _remark: None) -> Admitted:
    """Check a bundle whose archive and digests hold; see :func:`admit`."""
    report(Check.ARCHIVE, f"{len(file.members)} members, content {file.manifest.short_id}")
    report(Check.SIGNATURE, _signed_by(file, terms))
    check_compatible(file.manifest, terms.provides)
    report(Check.BOARD, ", ".join(file.manifest.compatible))
    bundle = contents_of(file)
    report(Check.MASKS, _masks_in_bounds(bundle, terms.mode))
    report(Check.EXPIRY, _expiry(file.manifest, terms.today))
    model = TfliteModel(bundle)
    report(Check.MODEL, f"{len(bundle.model)} bytes of TFLite")
    encoder = TfliteEncoder(bundle, model)
    report(Check.GOLDEN, f"{len(bundle.golden.inputs)} vectors")
    return Admitted(bundle, encoder)


def check_compatible(manifest: BundleManifest, provides: frozenset[str]) -> None:
    """Refuse a bundle that was made for another kind of board.

    Raises:
        ShapeMismatchError: None of the bundle's kinds is what the board provides.
    """
    if not provides & set(manifest.compatible):
        wanted, found = ", ".join(manifest.compatible), ", ".join(sorted(provides))
        message = f"The bundle needs a board that provides {wanted}; this one provides {found}."
        raise ShapeMismatchError(message, hint="a bundle made for this board.")


def _signed_by(file: BundleFile, terms: Terms) -> str:
    if file.signature is None and terms.allow_unsigned:
        return "unsigned, allowed for development"
    key = check_signature(file, terms.trusted)
    logger.info("%s is signed with key %s", file.source.name, key.name)
    return f"by key {key.name}"


def _masks_in_bounds(bundle: Bundle, mode: PayloadMode) -> str:
    modes = (mode, PayloadMode(bundle.manifest.mode))
    check_mask_rank(bundle.patterns, *modes)
    return f"d = {bundle.manifest.d}, rank at most {min(RANK_CAP[mode] for mode in modes)}"


def _expiry(manifest: BundleManifest, today: dt.date) -> str:
    if manifest.expires is None:
        return "never expires"
    try:
        expires = dt.date.fromisoformat(manifest.expires)
    except ValueError as cause:
        found = f"The bundle expires on {manifest.expires!r}, which is no date."
        raise BundleError(found, hint="export the bundle again.") from cause
    if expires < today:
        logger.warning("The bundle has expired on %s. Try: a newer bundle.", expires)
        return f"expired on {expires}: a warning only"
    return f"expires on {expires}"
