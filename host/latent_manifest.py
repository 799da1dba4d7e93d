"""What the host reads of a latent bundle: who made a latent, and for which generator."""

from pathlib import Path

from lsi.bundle import open_bundle
from lsi.errors import ConfigError
from lsi.manifest import BundleManifest


def latent_manifest(path: Path) -> BundleManifest:
    """What a latent bundle says of itself; its signature was the device's business.

    Raises:
        BundleError: Not readable.
        ConfigError: A bundle whose model gives no latent.
    """
    manifest = open_bundle(path).manifest
    if manifest.latent is None:
        raise ConfigError(f"{path} is no latent bundle.", hint="the bundle that the device ran.")
    return manifest
