"""Handlers of commands, made from the plain actions that a service has."""

from collections.abc import Callable
from typing import TypeAlias

from edge_app.records.replay import ReplayAnswer
from lsi.command_documents import (
    Accepted,
    PauseArguments,
    Reason,
    Refused,
    ReplayArguments,
    ReplayReport,
    Reply,
    Request,
)

Handler: TypeAlias = Callable[[Request], Reply]
"""Carries out one request. An ``LsiError`` or ``OSError`` from it is a refusal, ``failed``."""


def acting(action: Callable[[], None]) -> Handler:
    """Accept once ``action`` has returned: for ``rebirth`` and ``identify``."""

    def handle(_: Request) -> Reply:
        action()
        return Accepted()

    return handle


def replying(action: Callable[[], Reply]) -> Handler:
    """Answer what ``action`` says: for ``update``."""
    return lambda _: action()


def pausing(pause: Callable[[int], None]) -> Handler:
    """Accept once ``pause`` has taken the seconds in; 0 ends a pause."""

    def handle(request: Request) -> Reply:
        if not isinstance(request.arguments, PauseArguments):
            return Refused(Reason.INVALID)
        pause(request.arguments.seconds)
        return Accepted()

    return handle


def replaying(replay: Callable[[str, int, int], ReplayAnswer]) -> Handler:
    """Accept with what ``replay`` (stream, first and last seq) found."""

    def handle(request: Request) -> Reply:
        wanted = request.arguments
        if not isinstance(wanted, ReplayArguments):
            return Refused(Reason.INVALID)
        return Accepted(replay_report(replay(wanted.stream, wanted.first, wanted.last)))

    return handle


def replay_report(answer: ReplayAnswer) -> ReplayReport:
    """What the outbox answered, as an acknowledgement carries it."""
    return ReplayReport(
        stream=answer.stream,
        again=answer.again,
        waiting=answer.waiting,
        gone_rows=answer.gone_rows,
        gone=tuple((gap.first, gap.last) for gap in answer.gone),
    )
