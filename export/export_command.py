"""``lsi export``: checkpoint in, bundle out."""

import argparse
import datetime as dt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError
from lsi.npz_file import npz_arrays

HELP: str = "write a checkpoint as a bundle, or the paper's weights as a TFLite file"
EXAMPLE: Final = "example: lsi export checkpoints/lite16.npz -o attr-lite-16-0.2.0.lsib --created 2026-11-22"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi export`` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "checkpoint", type=Path, help="from 'lsi train attributes', 'lsi train latent' or 'lsi import-paper'"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=".lsib; .tflite for the paper's weights",
    )
    parser.add_argument("--float", dest="is_float", action="store_true", help="float32 model instead of int8")
    parser.add_argument("--name", help="name in the manifest (default MODE-D)")
    parser.add_argument("--version", default="0.1.0", help="version in the manifest (default 0.1.0)")
    parser.add_argument("--created", metavar="YYYY-MM-DD", help="date in the manifest (default today)")
    parser.add_argument(
        "--labelled", type=Path, metavar="FILE", help=".npz of measurements and labels: AUC before and after"
    )
    parser.add_argument(
        "--attributes", metavar="A,B", help="paper's weights only: these logits and no latent in the file"
    )
    parser.add_argument(
        "--static",
        type=Path,
        metavar="FILE",
        help="paper's weights only: static int8 for both runtimes, ranges from the measurements in this .npz",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(arguments: argparse.Namespace) -> int:
    """Export, check the result with the device's own reader, write it, print what it is.

    Raises:
        ConfigError: flatbuffers is missing, the date is none, or the output exists.
        DataError: The checkpoint or the labelled measurements cannot be used.
        BundleError: Name or version do not fit the manifest's schema.
    """
    _require_flatbuffers()
    from training.latent.latent_checkpoint import is_latent_checkpoint  # noqa: PLC0415 - keeps 'lsi --help' quick
    from training.paper.paper_weights import is_paper_weights  # noqa: PLC0415 - keeps 'lsi --help' quick

    if is_paper_weights(arguments.checkpoint):
        return _export_paper(arguments)
    if arguments.static is not None:
        found = f"--static is for the paper's weights, and {arguments.checkpoint} holds others."
        raise ConfigError(found, hint="leave it out: attribute bundles are static int8 anyway.")
    if is_latent_checkpoint(arguments.checkpoint):
        return _export_latent(arguments)
    return _export_attributes(arguments)


def _export_paper(arguments: argparse.Namespace) -> int:
    """The paper's encoder as a TFLite file: no bundle carries a latent yet."""
    from export.paper_export import paper_model, static_paper_model  # noqa: PLC0415 - needs flatbuffers
    from export.paper_tflite import Recipe  # noqa: PLC0415 - same
    from export.write_bundle import save_new  # noqa: PLC0415 - same
    from training.paper.paper_weights import load_paper_weights  # noqa: PLC0415 - same

    if arguments.output.suffix != ".tflite":
        found = (
            f"{arguments.output}: the paper's weights become a TFLite file, not a bundle, in this version."
        )
        raise ConfigError(found, hint="-o NAME.tflite")
    attributes = None if arguments.attributes is None else arguments.attributes.split(",")
    weights = load_paper_weights(arguments.checkpoint)
    if arguments.static is not None:
        recipe, model = "static int8", static_paper_model(weights, _measurements(arguments), attributes)
    else:
        recipe = Recipe.FLOAT32 if arguments.is_float else Recipe.INT8
        model = paper_model(weights, recipe, attributes)
    save_new(model, arguments.output, replaces=arguments.force)
    outputs = (
        "offset, and logits where there is a head"
        if attributes is None
        else f"{len(attributes)} logits, no latent"
    )
    print(f"wrote {arguments.output}: {len(model)} bytes, {recipe}, {outputs}")
    return 0


def _measurements(arguments: argparse.Namespace) -> NDArray[np.float32]:
    """The measurements (n, d) that ``--static`` names."""
    if arguments.is_float:
        raise ConfigError("--float and --static exclude each other.", hint="one of them.")
    hint = "a .npz with measurements (n, d), as 'lsi lab record' writes them."
    with npz_arrays(arguments.static, "file of measurements", "holds no measurements", hint) as arrays:
        return arrays["measurements"].astype(np.float32)


def _export_latent(arguments: argparse.Namespace) -> int:
    """A latent bundle, with a reminder of what it gives away."""
    created = _date(arguments.created)
    from export.latent_bundle import export_latent_bundle  # noqa: PLC0415 - needs flatbuffers
    from export.write_bundle import Identity, save_new  # noqa: PLC0415 - same
    from lsi.bundle import parse_bundle  # noqa: PLC0415 - same
    from training.latent.latent_checkpoint import load_latent_checkpoint  # noqa: PLC0415 - same

    checkpoint = load_latent_checkpoint(arguments.checkpoint)
    identity = Identity(arguments.name or f"latent-{checkpoint.shape.d}", arguments.version, created)
    exported = export_latent_bundle(checkpoint, identity, is_float=arguments.is_float)
    bundle = parse_bundle(exported.content, arguments.output.name)
    save_new(exported.content, arguments.output, replaces=arguments.force)
    space, parity = checkpoint.space, exported.parity
    print(f"wrote {arguments.output}: {bundle!r}")
    print(f"{len(exported.content)} bytes, model {len(bundle.model)}, offset {space.layers} x {space.width}")
    print(
        f"error to float: offset {100 * parity.offset_rms:.1f} % root mean square, "
        f"logit at most {parity.logit_error:.3f} ({parity.rows} random inputs)"
    )
    print("Its offsets are image-equivalent: a device seals them for one host, in mode latent only.")
    return 0


def _export_attributes(arguments: argparse.Namespace) -> int:
    created = _date(arguments.created)
    from export.parity import read_labelled  # noqa: PLC0415 - needs flatbuffers
    from export.parity_report import latency_us  # noqa: PLC0415 - same
    from export.write_bundle import (  # noqa: PLC0415 - needs flatbuffers
        Identity,
        export_bundle,
        mode_of,
        save_new,
    )
    from lsi.bundle import parse_bundle  # noqa: PLC0415 - same
    from training.attributes.checkpoint import load_checkpoint  # noqa: PLC0415 - same

    checkpoint = load_checkpoint(arguments.checkpoint)
    name = arguments.name or f"{mode_of(checkpoint.attributes)}-{len(checkpoint.patterns)}"
    identity = Identity(name, arguments.version, created)
    labelled = None if arguments.labelled is None else read_labelled(arguments.labelled)
    exported = export_bundle(checkpoint, identity, is_float=arguments.is_float, labelled=labelled)
    bundle = parse_bundle(exported.content, arguments.output.name)
    save_new(exported.content, arguments.output, replaces=arguments.force)
    print(f"wrote {arguments.output}: {bundle!r}, {len(exported.content)} bytes")
    print(f"against the float model (golden tolerance {bundle.golden.tolerance:.3f}):")
    print(exported.report.table(latency_us(bundle.model)))
    return 0


def _date(text: str | None) -> str:
    if text is None:
        return dt.datetime.now(tz=dt.UTC).date().isoformat()
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError as cause:
        raise ConfigError(f"--created {text} is no date.", hint="a date as 2026-11-22.") from cause


def _require_flatbuffers() -> None:
    try:
        import flatbuffers  # noqa: F401, PLC0415 - only whether it is there
    except ImportError as cause:
        found = "Export needs flatbuffers, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[export]'.") from cause
