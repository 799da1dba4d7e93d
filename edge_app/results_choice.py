"""Which form the results of one start have: by the payload mode in force."""

import logging
from pathlib import Path

from edge_app.disclosure.aggregate import Aggregator
from edge_app.disclosure.counted_results import CountedResults, WindowStamp
from edge_app.disclosure.live_state import LiveState
from edge_app.disclosure.privacy_ledger import PrivacyLedger
from edge_app.disclosure.results import PerPersonResults, Results
from edge_app.disclosure.visits import Visits
from edge_app.link.publisher import Publisher
from edge_app.records.outbox_time import boot_id
from edge_app.settings.config import AppConfig
from edge_app.wall_clock import WallClock
from firmware.interfaces import Clock
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import LedgerError

logger = logging.getLogger(__name__)


def results_of(  # noqa: PLR0913 - keyword-only, each a different thing
    config: AppConfig,
    bundle: Bundle,
    policy: DisclosurePolicy,
    publisher: Publisher,
    *,
    stream: str,
    clock: Clock,
    wall_clock: WallClock,
) -> Results:
    """Counts in mode ``agg``, else live state and visits."""
    visits = Visits(config.visits, clock=clock)
    if policy.mode is not PayloadMode.AGG:
        live = LiveState(config.live, clock=clock)
        return PerPersonResults(live, visits, publisher, every_scan=config.every_scan)
    names = policy.allowed & set(bundle.attributes.names)
    aggregator = Aggregator(config.agg, names, open_ledger(config.state), clock=clock)
    stamp = WindowStamp(config.device_id, stream, bundle.manifest.short_id, config.agg)
    return CountedResults(visits, aggregator, publisher, stamp, wall_clock)


def open_ledger(state: Path) -> PrivacyLedger | None:
    """The ledger of this device; ``None``, and a word why, where it cannot be trusted."""
    try:
        return PrivacyLedger(state, boot_id())
    except LedgerError as error:
        logger.warning("No window will be told: %s Try: %s", error.found, error.hint)
        return None
