"""``lsi evaluate-latent``: the paper's table for banks of one generator, as report.json and report.html."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.segmentation_labels import Classes, read_classes
from lsi.errors import ConfigError, DataError
from lsi.whole_file import whole_file
from training.cli_commands.command_parts import check_limits, digests, read_sensor, require_torch
from training.data_sets.data import DataFile, open_data, tune_rows
from training.scores.figures import finite

if TYPE_CHECKING:
    from host.decoder.generator_file import GeneratorFile
    from lab.latent_evaluation import LatentSet, LatentTable
    from training.latent.latent_checkpoint import LatentCheckpoint

HELP: Final = "evaluate latent checkpoints of one generator beside trivial predictors and the teacher"
EXAMPLE: Final = (
    "Example: lsi evaluate-latent latent-d*.npz --generator faces64.npz --data train.npz --val val.npz "
    "--board hardware/boards/sim-mcp3208.toml -o report/"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi evaluate-latent``."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="of 'lsi train latent'")
    add("--generator", type=Path, required=True, metavar="FILE", help="the generator they were trained for")
    add(
        "--data",
        type=Path,
        required=True,
        metavar="FILE",
        help="training pictures: heads, trivial predictors",
    )
    add("--val", type=Path, required=True, metavar="FILE", help="pictures of other people")
    add("--board", type=Path, required=True, metavar="FILE", help="board file (TOML) whose sensor measures")
    add(
        "--recognition", type=Path, metavar="ONNX", help="network that measures faces; never one that trained"
    )
    add("--faces", type=int, default=1000, metavar="N", help="rows that it looks at (default %(default)s)")
    add("--segmentation", type=Path, metavar="FILE", help="classes per pixel of some rows of val")
    add("--segmentation-train", type=Path, metavar="FILE", help="the same of --data ('lsi lab segment')")
    add(
        "--part",
        choices=["report", "tune", "all"],
        default="report",
        help="of the people in val (default report)",
    )
    add(
        "--train-rows",
        type=int,
        default=6000,
        metavar="N",
        help="training pictures in use (default %(default)s)",
    )
    add("--limit", type=int, default=100_000, metavar="N", help="only the first N rows of val")
    add(
        "--card",
        type=Path,
        metavar="FILE",
        help="the generator once more, with this memorisation check in its record",
    )
    add("--threads", type=int, default=2, metavar="N", help="threads of PyTorch (default 2)")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write into")
    _add_baselines(parser)


def _add_baselines(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("other methods").add_argument
    add(
        "--baselines",
        metavar="NAMES",
        help='also classical and unrolled methods at the same d: "all", or names with commas; '
        'banks with fixed masks then count as baselines, and "none" compares with those alone',
    )
    add(
        "--baseline-steps",
        type=int,
        default=1000,
        metavar="N",
        help="training steps of 16 scenes for each baseline that learns, at each d (default %(default)s)",
    )
    add(
        "--baseline-rows",
        type=int,
        default=12_000,
        metavar="N",
        help="training pictures that baselines learn from (default %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write report.json and report.html.

    Raises:
        ConfigError: PyTorch or onnxruntime is missing, or an argument is out of range.
        DataError: A file cannot be used, or a checkpoint belongs to another generator.
    """
    check_limits(
        arguments,
        {
            "train_rows": (2, 1e7), "limit": (2, 1e7), "faces": (2, 1e7), "threads": (1, 64),
            "baseline_steps": (10, 1e7), "baseline_rows": (2, 1e7),
        },
    )  # fmt: skip
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    if arguments.baselines is not None:
        from lab.baselines.methods import chosen_methods, require_bench  # noqa: PLC0415 - needs PyTorch

        require_bench()
        chosen_methods(arguments.baselines)
    torch.set_num_threads(arguments.threads)
    document = evaluate_latent(arguments)
    from lab.latent_page import latent_page  # noqa: PLC0415 - same

    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("report.json", json.dumps(document, indent=2)),
        ("report.html", latent_page(document)),
    ):
        with whole_file(arguments.output / name) as file:
            file.write(content.encode())
    if arguments.card is not None:
        _write_card(arguments, document)
    print("\n".join(lines_of(document)))
    print(f"wrote {arguments.output / 'report.json'} and report.html")
    return 0


def evaluate_latent(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures as one document."""
    from host.decoder.generator_file import load_generator  # noqa: PLC0415 - needs PyTorch
    from lab.latent_evaluation import over_seeds  # noqa: PLC0415 - same
    from training.latent.latent_checkpoint import load_latent_checkpoint  # noqa: PLC0415 - same

    generator = load_generator(arguments.generator)
    checkpoints = [load_latent_checkpoint(path) for path in arguments.checkpoints]
    checkpoints.sort(key=lambda each: len(each.patterns))
    _check_space(checkpoints, generator)
    banks = _banks(arguments, checkpoints)
    _check_measures_only(arguments.recognition, [generator.record, *(each.record for each in checkpoints)])
    table = _table(arguments, generator, checkpoints[0])
    rows = [row for checkpoint in banks for row in table.rows_of(checkpoint, tell)]
    document = {
        "command": _command(arguments),
        "split": f"{arguments.val.name}, part {arguments.part}, by person",
        "rows_of_val": len(table.val.fields),
        "rows_of_train": len(table.train.fields),
        "light": f"{table.detector.nominal_power:g} nW white, two arms, {arguments.board.name}, linear light",
        "generator": repr(generator),
        "steps": _steps(generator.record, checkpoints),
        "memorisation": table.memorisation(),
        "rows": [asdict(row) for row in over_seeds(rows)],
        "baselines": _baselines(arguments, table, checkpoints),
    }
    shown: dict[str, Any] = finite(document)
    return shown


def _write_card(arguments: argparse.Namespace, document: Mapping[str, Any]) -> None:
    """The generator with the check in its record; without one it must not be passed on."""
    from host.decoder.generator_file import load_generator, save_generator  # noqa: PLC0415 - needs PyTorch

    if document["memorisation"] is None:
        found = "Memorisation was not measured, so there is nothing to write into the generator's record."
        raise ConfigError(found, hint="--recognition NET.onnx, and data with landmarks.")
    generator = load_generator(arguments.generator)
    check = {name: document[name] for name in ("command", "split", "rows_of_val", "rows_of_train")}
    record = {**generator.record, "memorisation": {**check, "figures": document["memorisation"]}}
    save_generator(replace(generator, record=record), arguments.card)


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """The table for a terminal."""
    lines = [f"{'figure':20} {'d':>4} {'ours':>8} {'95 % over people':>17}  beside"]
    for row in document["rows"]:
        beside = ", ".join(
            f"{name} {value:.4g}" for name, value in row["beside"].items() if value is not None
        )
        lines.append(f"{row['metric']:20} {row['d']:4} {row['value']:8.4g} {_interval(row):>17}  {beside}")
    if document.get("baselines") is not None:
        from lab.baselines.page import baseline_lines  # noqa: PLC0415 - needs PyTorch

        lines += baseline_lines(document["baselines"])
    return lines


def _interval(row: Mapping[str, Any]) -> str:
    low_high = row.get("interval")
    shown = "" if low_high is None else f"{low_high[0]:.4g} to {low_high[1]:.4g}"
    return f"{shown} ({row['seeds']} seeds)" if row.get("seeds", 1) > 1 else shown


def tell(line: str) -> None:
    """Progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def _banks(arguments: argparse.Namespace, checkpoints: list["LatentCheckpoint"]) -> list["LatentCheckpoint"]:
    """The banks whose figures are ours: beside baselines only those with learned masks."""
    if arguments.baselines is None:
        return checkpoints
    from lab.baselines.comparison import LEARNED, name_of  # noqa: PLC0415 - needs PyTorch

    learned = [each for each in checkpoints if name_of(each) == LEARNED]
    if not learned:
        found = "All banks have fixed masks: there is nothing to compare baselines with."
        raise ConfigError(found, hint="a checkpoint of 'lsi train latent' without --fixed-masks.")
    return learned


def _baselines(
    arguments: argparse.Namespace, table: "LatentTable", checkpoints: list["LatentCheckpoint"]
) -> dict[str, Any] | None:
    if arguments.baselines is None:
        return None
    from lab.baselines.comparison import Comparison, compared  # noqa: PLC0415 - needs PyTorch
    from lab.baselines.lessons import Budget  # noqa: PLC0415 - same
    from lab.baselines.methods import chosen_methods  # noqa: PLC0415 - same

    data = open_data(arguments.data, "train")
    every = max(1, -(-len(data) // arguments.baseline_rows))
    fields = data.faces(data.attribute_names, np.arange(0, len(data), every)).luminance
    comparison = Comparison(table, fields, Budget(arguments.baseline_steps))
    return compared(comparison, checkpoints, chosen_methods(arguments.baselines), tell)


def _check_space(checkpoints: list["LatentCheckpoint"], generator: "GeneratorFile") -> None:
    form = generator.space.form
    strangers = [repr(each) for each in checkpoints if each.space != form]
    if strangers:
        found = f"{strangers[0]} was trained for another latent space than {generator.space!r}."
        raise DataError(found, hint="the generator that 'lsi train latent' was given.")
    names = {each.attributes.names for each in checkpoints}
    if len(names) > 1:
        raise ConfigError("The checkpoints answer different attributes.", hint="evaluate them apart.")


def _check_measures_only(recognition: Path | None, records: list[Mapping[str, Any]]) -> None:
    """A network that trained would praise its own work."""
    if recognition is None:
        return
    digest = digests([recognition])[recognition.name]
    if any(digest in record.get("data", {}).values() for record in records):
        found = f"{recognition.name} took part in the training and cannot measure the result."
        raise ConfigError(found, hint="another recognition network.")


def _table(
    arguments: argparse.Namespace, generator: "GeneratorFile", checkpoint: "LatentCheckpoint"
) -> "LatentTable":
    from host.decoder.decoder import OwnDecoder  # noqa: PLC0415 - needs PyTorch
    from lab.face_networks import Recogniser  # noqa: PLC0415 - same
    from lab.latent_evaluation import LatentTable  # noqa: PLC0415 - same
    from training.light.forward_model import Detector  # noqa: PLC0415 - same

    recogniser = None if arguments.recognition is None else Recogniser(arguments.recognition)
    sensor, samples = read_sensor(arguments.board)
    tell("reading the data")
    data, val = open_data(arguments.data, "train"), open_data(arguments.val, "val")
    names = checkpoint.attributes.names
    tune = tune_rows(val.identity)
    wanted = {"report": ~tune, "tune": tune, "all": np.ones(len(val), np.bool_)}[arguments.part]
    every = max(1, -(-len(data) // arguments.train_rows))
    labels = [read_classes(path) for path in (arguments.segmentation_train, arguments.segmentation)]
    taken = np.arange(0, len(data), every)
    if labels[0] is not None:  # rows that were labelled are worth more
        taken = np.union1d(taken, labels[0].rows[labels[0].rows < len(data)])
    train = _set(data, taken, names, generator)
    rows = _set(val, np.flatnonzero(wanted)[: arguments.limit], names, generator)
    train, rows = (_labelled(each, known) for each, known in zip((train, rows), labels, strict=True))
    classes = min((len(each.names) for each in labels if each is not None), default=0)
    decoder = OwnDecoder(generator, str(arguments.generator))
    return LatentTable(train, rows, decoder, Detector(sensor, samples), recogniser, arguments.faces, classes)


def _labelled(rows: "LatentSet", classes: Classes | None) -> "LatentSet":
    if classes is None:
        return rows
    return replace(rows, segmentation=classes.of(rows.rows, rows.pictures.shape[1]))


def _set(
    data: DataFile,
    rows: NDArray[np.intp],
    names: tuple[str, ...],
    generator: "GeneratorFile",
) -> "LatentSet":
    from lab.face_networks import read_landmarks  # noqa: PLC0415 - needs Pillow only
    from lab.latent_evaluation import LatentSet  # noqa: PLC0415 - needs PyTorch
    from training.data_sets.whole_picture import small_picture  # noqa: PLC0415 - needs Pillow only
    from training.generator.generator import encoder_of, latents_of  # noqa: PLC0415 - same

    marked = read_landmarks(data.path) if data.path.suffix == ".npz" else None
    if marked is not None:
        rows = rows[marked[1][rows]]
    faces = data.faces(names, rows)
    pictures = np.stack([small_picture(data.picture(int(row)), generator.shape.size_px) for row in rows])
    latents = latents_of(encoder_of(generator, "the generator"), pictures)
    return LatentSet(
        rows=rows,
        fields=faces.luminance,
        pictures=pictures,
        labels=faces.attributes,
        identity=faces.identity,
        teacher=latents - generator.space.mean,
        landmarks=None if marked is None else marked[0][rows],
    )


def _steps(record: Mapping[str, Any], checkpoints: list["LatentCheckpoint"]) -> str:
    """How far the trainings went: figures of unfinished ones say so."""
    parts = [("generator", record), *((f"d = {len(each.patterns)}", each.record) for each in checkpoints)]
    return ", ".join(
        f"{name}: {found.get('steps', '?')} of {found.get('of_steps', '?')}" for name, found in parts
    )


def _command(arguments: argparse.Namespace) -> str:
    """File names without folders."""
    words = ["lsi", "evaluate-latent", *(path.name for path in arguments.checkpoints)]
    for option in ("generator", "data", "val", "board", "recognition", "segmentation", "segmentation_train"):
        path = getattr(arguments, option)
        words += [] if path is None else ["--" + option.replace("_", "-"), path.name]
    words += ["--part", arguments.part]
    counts = ["train_rows", "limit", "faces"]
    if arguments.baselines is not None:
        words += ["--baselines", arguments.baselines]
        counts += ["baseline_steps", "baseline_rows"]
    for option in counts:
        words += ["--" + option.replace("_", "-"), str(getattr(arguments, option))]
    return shlex.join([*words, "-o", arguments.output.name])
