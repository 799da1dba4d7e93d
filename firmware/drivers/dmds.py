"""What each DMD behind a DLPC900 can show."""

from dataclasses import dataclass
from typing import Final

from lsi.errors import BoardConfigError

PLANES_PER_IMAGE: Final = 24
"""One-bit patterns that one uploaded image holds."""


@dataclass(frozen=True, slots=True)
class Dmd:
    """What a DMD type can show; the defaults are those of the DLP6500.

    Attributes:
        name: As TI writes it.
        width_px: Mirrors in a row.
        height_px: Rows.
        lut_entries: Patterns of one sequence (TI DLPU018J, 0x1A31).
        memory_patterns: One-bit patterns the controller holds (TI DLPS037H).
        type_code: First byte of what 0x0206 reads.
        is_dual: Two controllers, each with one half of every row.
        min_exposure_us: Shortest one-bit exposure (DLPU018J, "Minimum Exposure in Any
            Pattern Mode"). Unverified but for the DLP6500: the table by DMD was not seen,
            so the longest that is known holds for all.
    """

    name: str
    width_px: int
    height_px: int
    lut_entries: int
    memory_patterns: int = 400
    type_code: int = 1
    is_dual: bool = False
    min_exposure_us: int = 105

    @property
    def patterns(self) -> int:
        """Most patterns of one pass."""
        return min(self.lut_entries, self.memory_patterns)

    @property
    def half_widths_px(self) -> tuple[int, ...]:
        """Mirrors in a row of each controller, from the left."""
        return (self.width_px // 2,) * 2 if self.is_dual else (self.width_px,)


# Unverified: sizes of the DLP670S and DLP500YX, and that they have two controllers; and
# that a DLP5500 takes image indices above 17, which 960 patterns need (0x1A2A lists 0 to
# 17). Whoever has one can put it right: each line stands alone.
_ALL: Final = (
    Dmd("DLP6500", 1920, 1080, lut_entries=400, memory_patterns=400, type_code=1),
    Dmd("DLP9000", 2560, 1600, lut_entries=400, memory_patterns=480, type_code=2, is_dual=True),
    Dmd("DLP670S", 2716, 1600, lut_entries=400, memory_patterns=400, type_code=3, is_dual=True),
    Dmd("DLP500YX", 2048, 1200, lut_entries=400, memory_patterns=800, type_code=4, is_dual=True),
    Dmd("DLP5500", 1024, 768, lut_entries=960, memory_patterns=1024, type_code=5),
)

DMDS: Final = {dmd.name: dmd for dmd in _ALL}
"""Types by name."""


def dmd_named(name: str) -> Dmd:
    """The DMD called ``name``.

    Raises:
        BoardConfigError: No such type here.
    """
    if name not in DMDS:
        raise BoardConfigError(f"No DMD called {name!r}.", hint=f"one of {', '.join(sorted(DMDS))}.")
    return DMDS[name]


def name_of_type(code: int) -> str:
    """What 0x0206 calls a DMD; a code that no list names is said as a number."""
    return next((dmd.name for dmd in _ALL if dmd.type_code == code), f"unlisted type {code}")
