"""What numpy, zipfile and json raise for bytes that are no ``.npz`` of ours, beside ``OSError``."""

import tokenize
import zipfile
import zlib
from typing import Final

DAMAGED_NPZ: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""One flipped bit of a zip directory is enough for most of them."""
