"""``UpdateState``: which bundle runs and which one is staged, as Home Assistant's update entity reads it."""

import json
import re
from dataclasses import dataclass
from typing import Final

from lsi.errors import PayloadError

MAX_BYTES: Final = 512
_KEYS: Final = {
    "installed_version": "installed",
    "latest_version": "latest",
    "in_progress": "in_progress",
    "update_percentage": "percentage",
    "title": "title",
}
_TEXT: Final = re.compile(r"[ -~]{1,64}")
_VERSION: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class UpdateState:
    """What the update entity shows: MAJOR.MINOR.PATCH of the running and of the staged bundle.

    Equal versions: nothing to install. ``percentage`` (0 to 100) only while ``in_progress``.

    Raises:
        PayloadError: Something for which core would drop the message.
    """

    installed: str
    latest: str
    in_progress: bool = False
    percentage: int | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        for version in (self.installed, self.latest):
            if not _VERSION.fullmatch(version):
                raise PayloadError(f"Bundle version {version[:16]!r}.", hint="MAJOR.MINOR.PATCH.")
        if self.percentage is not None and not (self.in_progress and 0 <= self.percentage <= 100):  # noqa: PLR2004 - per cent
            raise PayloadError("A percentage outside 0 to 100, or of nothing in progress.")
        if self.title is not None and not _TEXT.fullmatch(self.title):
            raise PayloadError("An unusable title of a bundle.", hint="up to 64 printable ASCII characters.")

    def encode(self) -> bytes:
        """Compact JSON with keys that core knows: any other and it drops the message.

        Both versions, progress and percentage are always there: core keeps the last value of a missing key.
        """
        document = {
            "installed_version": self.installed,
            "latest_version": self.latest,
            "in_progress": self.in_progress,
            "update_percentage": self.percentage,
        }
        if self.title is not None:
            document["title"] = self.title
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> "UpdateState":
        """Read what :meth:`encode` wrote; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not JSON, another key, or a value out of range.
        """
        try:
            document = json.loads(encoded.decode()) if len(encoded) <= MAX_BYTES else {}
            known = {_KEYS[key]: value for key, value in document.items()}
            return cls(**known)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
            raise PayloadError("update payload is not the state of a bundle.") from cause
