"""Whether another bundle would let out more than the one that runs."""

from edge_app.disclosure.policy import in_force
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy


def lets_out_more(policy: DisclosurePolicy, running: Bundle, other: Bundle) -> list[str]:
    """What ``other`` would let out under the device's ``policy`` and ``running`` does not, in words.

    Attributes by name, and a wider payload mode. Empty: equal or narrower.
    """
    now, then = in_force(policy, running), in_force(policy, other)
    more = sorted(
        (then.allowed & set(other.attributes.names)) - (now.allowed & set(running.attributes.names))
    )
    if then.mode.rank > now.mode.rank:
        more.append(f"payload mode {then.mode} instead of {now.mode}")
    return more
