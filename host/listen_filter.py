"""Which events a person or a pipe wants to see."""

from dataclasses import dataclass, field

from host.fleet import answers_of
from host.gap_watch import Gap
from host.subscriber import Received, Rejected
from lsi.errors import AppConfigError
from lsi.events import EventPayload
from lsi.payload import AttributePayload

_ANSWERS = {"yes": True, "no": False, "-": None}


@dataclass(frozen=True, slots=True)
class Where:
    """An attribute, or ``face``, and the answer it must have; ``None`` is "not known"."""

    name: str
    answer: bool | None

    @classmethod
    def parse(cls, text: str) -> "Where":
        """``NAME=yes``, ``NAME=no`` or ``NAME=-``.

        Raises:
            AppConfigError: Another form.
        """
        name, _, word = text.partition("=")
        if not name or word not in _ANSWERS:
            raise AppConfigError(f"{text!r} is no condition.", hint="NAME=yes, NAME=no or NAME=-.")
        return cls(name, _ANSWERS[word])


@dataclass(frozen=True, slots=True)
class ListenFilter:
    """Conditions that ``attr`` and ``event`` must all meet; everything else passes."""

    conditions: tuple[Where, ...] = field(default=())

    def __call__(self, event: Received | Rejected | Gap) -> bool:
        """Whether to show ``event``."""
        if not self.conditions or not isinstance(event, Received):
            return True
        match event.content:
            case AttributePayload() as payload:
                answers = answers_of(payload)
            case EventPayload() as visit:
                answers = {"face": True, **visit.attributes}
            case _:
                return True
        return all(where.name in answers and answers[where.name] is where.answer for where in self.conditions)
