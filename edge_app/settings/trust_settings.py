"""``TrustSettings``: whose bundles this device runs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Whose bundles this device runs.

    ``keys`` are files in minisign's public key format, none means that nobody is trusted.
    ``allow_unsigned`` is for development and works on a simulated board only.
    """

    keys: tuple[Path, ...] = ()
    allow_unsigned: bool = False
