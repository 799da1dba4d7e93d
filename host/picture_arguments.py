"""The arguments by which the dashboard is given what makes pictures of sealed latents."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host.latent_manifest import latent_manifest
from host.live_pictures import Develop, LivePictures, finite
from host.opener import OpenedLatent
from host.opener_arguments import add_opener_arguments, opener_of
from lsi.errors import AppConfigError, ConfigError, ShapeMismatchError
from lsi.manifest import BundleManifest

if TYPE_CHECKING:  # needs PyTorch
    from host.decoder.decoder import Decoder

_PARTS: Final = ("key", "device", "bundle", "generator")


def add_picture_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what all has to be there before a page may show pictures."""
    group = parser.add_argument_group(
        "generated pictures",
        "With all four the page has a switch for pictures that a generator makes of sealed latents. "
        "It is off whenever a page is opened. Whoever may open the page may use the switch.",
    )
    add_opener_arguments(group, required=False)
    group.add_argument(
        "--bundle", action="append", type=Path, metavar="FILE", help="latent bundle that the devices run"
    )
    group.add_argument("--generator", type=Path, metavar="FILE", help="of 'lsi train generator', or a .toml")


def pictures_of(arguments: argparse.Namespace) -> LivePictures | None:
    """What opens and decodes, or ``None`` where nothing was given for it.

    Raises:
        AppConfigError: Only some of the four.
        ConfigError: PyTorch is missing, or a bundle that gives no latents.
        DataError: The generator cannot be used.
        ShapeMismatchError: A bundle of another generator.
    """
    missing = [f"--{name}" for name in _PARTS if not getattr(arguments, name)]
    if len(missing) == len(_PARTS):
        return None
    if missing:
        found = f"Pictures need {', '.join(missing)} too."
        raise AppConfigError(found, hint="all of --key, --device, --bundle and --generator, or none of them.")
    opener = opener_of(arguments)
    manifests = [latent_manifest(path) for path in arguments.bundle]
    decoder = _decoder(arguments.generator)
    return LivePictures(opener, {each.short_id: _develop(each, decoder) for each in manifests})


def _decoder(path: Path) -> "Decoder":
    try:
        from host.decoder.open_decoder import open_decoder  # noqa: PLC0415 - needs PyTorch
    except ImportError as cause:
        found = "Decoding needs PyTorch, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[train]'.") from cause
    return open_decoder(path)


def _develop(manifest: BundleManifest, decoder: "Decoder") -> Develop:
    if manifest.latent != decoder.space.form:
        found = f"Bundle {manifest.name} {manifest.version} was trained for another generator."
        raise ShapeMismatchError(found, hint="the generator of its latent space.")
    return partial(_marked, manifest=manifest, decoder=decoder)


def _marked(opened: OpenedLatent, *, manifest: BundleManifest, decoder: "Decoder") -> bytes:
    from host.decoder.generated_picture import maker_of, marked_png  # noqa: PLC0415 - needs Pillow

    header = opened.header
    picture = decoder.pictures(finite(opened.values)[None])[0]
    source = f"{header.device_id} {header.stream} #{header.seq}"
    return marked_png(picture, decoder.space, source, maker_of(manifest))
