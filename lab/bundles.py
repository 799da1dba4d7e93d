"""Where the trained bundles of the checkout are."""

from pathlib import Path
from typing import Final

from lsi.errors import BundleNotFoundError

FOLDER: Final = Path(__file__).resolve().parents[1] / "bundles"
SHIPPED: Final = "attr-lite-16-0.2.0.lsib"
FLOAT_TWIN: Final = "attr-lite-16-float32-0.2.0.lsib"


def shipped_bundle(name: str = SHIPPED) -> Path:
    """Path of a bundle of the checkout. Weights are in no wheel.

    Raises:
        BundleNotFoundError: Not run from a checkout.
    """
    path = FOLDER / name
    if not path.is_file():
        found = f"No bundle {name} in {FOLDER}."
        raise BundleNotFoundError(found, hint="run from a checkout, or name a bundle with --bundle.")
    return path
