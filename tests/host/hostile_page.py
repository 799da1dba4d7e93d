"""The dashboard of a fleet whose every text is markup: no schema would have let it pass.

Run: ``python -m tests.host.hostile_page --web-port PORT``.
"""

import argparse
import contextlib
from collections import Counter
from dataclasses import replace
from typing import Any, Final

from nicegui import ui

from host.dashboard_page import build_page
from host.fleet import DeviceState, Fleet, Moment
from host.subscriber import Rejected
from host.subscription import LinkChanged
from lsi.rollback import RollbackReason
from lsi.status import RollbackTold, SlotsTold
from tests.host.devices import visit
from tests.lsi.test_status import INFO
from tests.payloads import payload
from transport.broker import LinkState

MARKUP: Final = "\"'><img src=x onerror=window.hit=1><svg onload=window.hit=1>{a}${window.hit=1}"


def hostile_fleet() -> Fleet:
    """One device, all of it markup."""
    text: Any = MARKUP
    rollback = RollbackTold(text, text, text, RollbackReason.KILLED)
    slots = SlotsTold(is_trial=True, security_epoch=1, highest_epoch=1, downgrades=1, rollback=rollback)
    device = DeviceState(MARKUP, heard_s=1.0)
    device.availability = text
    device.info = replace(INFO, board=text, mode=text, bundle_name=text, bundle_id=text, slots=slots)
    device.attr = payload(attributes={MARKUP: True, ":" + MARKUP: None})
    device.visit = replace(visit("0123456789abcdef"), phase=text, ts=MARKUP)
    device.history.extend(Moment(at_s, {MARKUP: True, ":formatter": False}) for at_s in (1.0, 2.0))
    device.bytes_by_kind = Counter({text: 7})
    device.messages_by_kind = Counter({text: 1})
    fleet = Fleet()
    fleet.devices[MARKUP] = device
    fleet.rejected.append(Rejected(MARKUP, 1, MARKUP))
    fleet.rejected_count = 1
    fleet.link = LinkChanged(LinkState.AWAY, MARKUP)
    return fleet


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--web-port", type=int, required=True)
    fleet = hostile_fleet()
    port = parser.parse_args().web_port
    with contextlib.suppress(KeyboardInterrupt):
        ui.run(
            lambda: build_page(fleet), host="127.0.0.1", port=port, show=False, reload=False,
            show_welcome_message=False,
        )  # fmt: skip


if __name__ == "__main__":
    main()
