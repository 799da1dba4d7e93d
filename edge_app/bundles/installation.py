"""Installing a bundle: the checks of this device, then a slot."""

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.bundles.changeover import Rules
from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import SlotName, SlotTable, Standing, digest_of_file
from lsi.errors import BundleError, DowngradeError, ExpiredBundleError
from lsi.manifest import BundleManifest

logger = logging.getLogger(__name__)

_KEPT: Final = frozenset({Standing.ACTIVE, Standing.STAGED, Standing.TRIAL})


@dataclass(frozen=True, slots=True)
class Installed:
    """Where a bundle is; ``is_new`` is false where the same file was there already."""

    manifest: BundleManifest
    slot: SlotName
    is_new: bool


def install(
    content: bytes, source: Path, store: SlotStore, rules: Rules, *, allow_downgrade: bool = False
) -> Installed:
    """Check the bundle file ``content`` and put it into the idle slot, staged.

    Raises:
        BundleError: It does not pass; nothing has changed.
        SlotError: A trial goes on, or the disk cannot take it.
    """
    manifest, is_downgrade = check_install(content, source, store, rules, allow_downgrade=allow_downgrade)
    slot = _kept_in(store.table(), digest_of_file(content))
    if slot is not None:
        return Installed(manifest, slot, is_new=False)
    slot = store.install(content, manifest, downgrade=is_downgrade)
    logger.info("Installed %s %s in slot %s.", manifest.name, manifest.version, slot)
    return Installed(manifest, slot, is_new=True)


def check_install(
    content: bytes, source: Path, store: SlotStore, rules: Rules, *, allow_downgrade: bool = False
) -> tuple[BundleManifest, bool]:
    """Everything that :func:`install` checks, without writing anything.

    Returns:
        The manifest, and whether it takes a permission for a downgrade.

    Raises:
        BundleError: It does not pass.
        SlotError: The slots cannot be read.
    """
    manifest = rules.admit(content, source).bundle.manifest
    _check_expiry(manifest, rules.today)
    return manifest, _is_downgrade(manifest, store, rules, allow_downgrade=allow_downgrade)


def _kept_in(table: SlotTable, digest: str) -> SlotName | None:
    return next(
        (slot for slot, held in table.held() if held.digest == digest and held.standing in _KEPT), None
    )


def _check_expiry(manifest: BundleManifest, today: dt.date) -> None:
    if manifest.expires is not None and dt.date.fromisoformat(manifest.expires) < today:
        found = f"{manifest.name} {manifest.version} was to be installed until {manifest.expires}."
        raise ExpiredBundleError(found, hint="a newer bundle; or set the clock of the device.")


def _is_downgrade(manifest: BundleManifest, store: SlotStore, rules: Rules, *, allow_downgrade: bool) -> bool:
    least = _least_epoch(store.table(), rules)
    if manifest.security_epoch >= least:
        return False
    if not allow_downgrade:
        epoch = manifest.security_epoch
        found = f"{manifest.name} {manifest.version} has security epoch {epoch}; {least} ran here."
        raise DowngradeError(found, hint="a newer bundle; or as root, on the device, --allow-downgrade.")
    logger.warning("Root allows security epoch %d below %d.", manifest.security_epoch, least)
    return True


def _least_epoch(table: SlotTable, rules: Rules) -> int:
    """The highest epoch that ran here, the factory's bundle included where nothing else is active."""
    if table.slot_of(Standing.ACTIVE) is not None:
        return table.highest_epoch
    try:
        factory = rules.factory()
    except BundleError:
        factory = None
    return (
        table.highest_epoch
        if factory is None
        else max(table.highest_epoch, factory.bundle.manifest.security_epoch)
    )
