"""``LinkEvents``: what a link to a broker tells its owner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transport.broker import LinkState, Message
from transport.renewal import Renewal


def _ignore_message(_: Message) -> None:
    pass


def _ignore_state(_: LinkState, __: str) -> None:
    pass


def _ignore_renewal(_: Renewal) -> None:
    pass


def _no_greeting() -> Sequence[Message]:
    return ()


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What a link tells its owner. Called from the network thread; none may block.

    ``greeting`` gives the messages to send first after every connect, in order.
    ``on_state`` is called on change only, with a reason in words; what to try is in
    ``transport.broker.ADVICE``. ``on_renewal`` tells how ``replace_tls`` ended.
    """

    greeting: Callable[[], Sequence[Message]] = _no_greeting
    on_message: Callable[[Message], None] = _ignore_message
    on_state: Callable[[LinkState, str], None] = _ignore_state
    on_renewal: Callable[[Renewal], None] = _ignore_renewal
