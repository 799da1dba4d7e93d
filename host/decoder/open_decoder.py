"""A decoder from a file: ours by its format, an owner's own by a description in TOML."""

from pathlib import Path

from host.decoder.decoder import Decoder, own_decoder
from host.decoder.foreign import foreign_decoder


def open_decoder(path: Path) -> Decoder:
    """The decoder that ``path`` holds or describes.

    Raises:
        ConfigError: A runtime for it is missing.
        DataError: No such file, or one that cannot be used.
        ShapeMismatchError: The network has other layers than its description says.
    """
    return foreign_decoder(path) if path.suffix == ".toml" else own_decoder(path)
