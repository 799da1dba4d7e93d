"""TOML files that people write: read with a size limit and a reason for every refusal."""

import tomllib
from pathlib import Path
from typing import Any, Final

from lsi.errors import ConfigError

MAX_BYTES: Final = 65_536


def read_toml(path: Path, what: str, *, error: type[ConfigError], hint: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        what: What the message calls it, for example "Configuration".
        error: The error type to raise.
        hint: What to try when the file cannot be read.

    Raises:
        ConfigError: As ``error``: not readable, longer than ``MAX_BYTES``, not UTF-8, not TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as cause:
        raise error(f"{what} {path} cannot be read ({cause.strerror}).", hint=hint) from cause
    if len(content) > MAX_BYTES:
        raise error(f"{what} {path} is longer than {MAX_BYTES} bytes.", hint=hint)
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as cause:
        raise error(f"{what} {path} is not UTF-8 text.", hint=hint) from cause
    except tomllib.TOMLDecodeError as cause:
        raise error(f"{what} {path} is not TOML: {cause}.") from cause
