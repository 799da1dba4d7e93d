"""Whether another bundle would let out more than the one that runs."""

from typing import Final

from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode

_RANK: Final = {mode: rank for rank, mode in enumerate(PayloadMode)}
"""The modes stand in the order of privacy."""


def lets_out_more(policy: DisclosurePolicy, running: Bundle, other: Bundle) -> list[str]:
    """What ``other`` would let out under the device's ``policy`` and ``running`` does not, in words.

    Attributes by name, and a wider payload mode, whose masks may see more. Empty: equal or narrower.
    """
    now, then = (
        policy.narrowed(bundle.allowed).allowed & set(bundle.attributes.names) for bundle in (running, other)
    )
    more = sorted(then - now)
    modes = [PayloadMode(bundle.manifest.mode) for bundle in (running, other)]
    if _RANK[modes[1]] > _RANK[modes[0]]:
        more.append(f"payload mode {modes[1]} instead of {modes[0]}")
    return more
