"""Which part of the rig a failure is the fault of."""

from types import TracebackType

from lsi.errors import Part, RigError


class Blame:
    """A context in which every ``RigError`` without a part gets ``part``. Reusable; costs next to nothing."""

    __slots__ = ("_part",)

    def __init__(self, part: Part) -> None:
        self._part = part

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, RigError) and error.part is None:
            error.part = self._part
