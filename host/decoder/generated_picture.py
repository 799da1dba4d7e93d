"""Decoded pictures as PNG, marked as generated in their pixels and in their metadata."""

import io
import textwrap
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from lsi.latent import LatentSpace
from lsi.manifest import BundleManifest

BANNER: Final = "GENERATED"
BANNER_PX: Final = 14
"""Of each line."""
SMALLEST_PX: Final = 128
"""Smaller pictures are enlarged, so that the banner can be read."""
COLUMNS: Final = 8
_MARGIN_PX: Final = 4
_LETTER_PX: Final = 6
_INK: Final = (0, 0, 0)
_PAPER: Final = (255, 214, 0)

Codes = NDArray[np.uint8]


def maker_of(manifest: BundleManifest) -> str:
    """The words for the bundle that made a latent: from how many ratios, and its name."""
    return f"{manifest.d} masks, {manifest.name} {manifest.version}"


def marked_png(picture: Codes, space: LatentSpace, source: str, maker: str = "") -> bytes:
    """One picture (R, R, 3) as PNG: a banner below it, and text fields that say what it is.

    Args:
        picture: What the decoder made.
        space: The generator's latent space, named in the metadata.
        source: Where the latent came from, such as a file's name and row.
        maker: What made the latent (:func:`maker_of`), in banner and metadata; empty where nobody knows.
    """
    return _png(_with_banner(picture, maker), space, source, maker)


def contact_sheet(
    pictures: Sequence[Codes] | Codes, space: LatentSpace, source: str, maker: str = ""
) -> bytes:
    """All pictures side by side, each with its banner, as one PNG."""
    marked = [_with_banner(picture, maker) for picture in pictures]
    width, height = marked[0].size
    columns = min(COLUMNS, len(marked))
    rows = -(-len(marked) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), _PAPER)
    for index, picture in enumerate(marked):
        sheet.paste(picture, ((index % columns) * width, (index // columns) * height))
    return _png(sheet, space, source, maker)


def _with_banner(picture: Codes, maker: str) -> Image.Image:
    factor = max(1, -(-SMALLEST_PX // len(picture)))
    side = factor * len(picture)
    lines = [BANNER, *textwrap.wrap(maker, (side - _MARGIN_PX) // _LETTER_PX)]
    shown = Image.new("RGB", (side, side + BANNER_PX * len(lines)), _PAPER)
    shown.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST))
    draw, font = ImageDraw.Draw(shown), ImageFont.load_default()
    for place, line in enumerate(lines):
        draw.text((_MARGIN_PX, side + 1 + BANNER_PX * place), line, fill=_INK, font=font)
    return shown


def _png(image: Image.Image, space: LatentSpace, source: str, maker: str) -> bytes:
    """Fields of the PNG specification (11.3.4.3), and IPTC's term for media made by a trained model."""
    fields = PngInfo()
    fields.add_text("Description", "Made by a generator. Plausible, not evidence. Colour is invented.")
    fields.add_text("Software", f"lsi decode, latent space {space.name} {space.form.digest}")
    fields.add_text("Source", f"{source}; {maker}" if maker else source)
    fields.add_text(
        "DigitalSourceType", "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=fields)
    return stream.getvalue()
