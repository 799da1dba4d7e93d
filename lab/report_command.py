"""``lsi report``: checkpoints beside every baseline, as one page and one JSON document."""

import argparse
import datetime as dt
import importlib.util
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError
from lsi.whole_file import whole_file
from training.scores.figures import finite

if TYPE_CHECKING:
    from lab.report_material import Val
    from lab.report_models import Model
    from lab.report_scores import Predictor

HELP: str = "figures of checkpoints beside every baseline: report.html and report.json"
EXAMPLE: Final = (
    "Example: lsi report checkpoints/*.npz --val val.npz --nonfaces-val nonfaces_val.npz "
    "--data train.npz -o report/"
)
_NEEDED: Final = {"torch": "train", "matplotlib": "report"}
"""Module and the extra of lsi-host that brings it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi report``."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="of one set of attributes"
    )
    parser.add_argument("--val", type=Path, required=True, metavar="FILE", help="faces of other people")
    parser.add_argument(
        "--nonfaces-val",
        type=Path,
        required=True,
        metavar="FILE",
        help="pictures without a face, for presence",
    )
    parser.add_argument("--data", type=Path, metavar="TRAIN", help="faces to train the baselines on; slow")
    parser.add_argument(
        "--teacher", type=Path, metavar="FILE", help="scores of a full-picture network on --val (.npz)"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="figures of long runs (.json), shown as they are"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write into"
    )
    parser.add_argument("--baseline-epochs", type=int, default=6, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--baseline-seeds", type=int, default=1, metavar="N", help="seeds 0 to N - 1; default: 1"
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of PyTorch; default: 2")


def run(arguments: argparse.Namespace) -> int:
    """Count everything, write both files.

    Raises:
        ConfigError: An extra is missing, an argument is out of range, or the checkpoints do not fit together.
        DataError: A file cannot be used.
    """
    check_arguments(arguments)
    require_extras()
    from lab.report_gallery import mask_pictures  # noqa: PLC0415 - `lsi --help` works without the extras
    from lab.report_models import load_models  # noqa: PLC0415 - same
    from lab.report_page import page  # noqa: PLC0415 - same

    models = load_models(arguments.checkpoints)
    document, main = figures(models, arguments, _tell)
    arguments.output.mkdir(parents=True, exist_ok=True)
    _write(arguments.output / "report.json", json.dumps(finite(document), indent=1) + "\n")
    _write(arguments.output / "report.html", page(document, mask_pictures(main.checkpoint.patterns)))
    print("\n".join(document["envelope"]["sentences"]))
    print(f"wrote {arguments.output / 'report.html'} and report.json")
    return 0


def figures(
    models: list["Model"], arguments: argparse.Namespace, progress: Callable[[str], None]
) -> tuple[dict[str, Any], "Model"]:
    """The document of the report, and the checkpoint that its single-model parts show."""
    import torch  # noqa: PLC0415 - `lsi --help` works without the extras

    from lab import report_material as material  # noqa: PLC0415 - same
    from lab.attribute_report import Material, build, main_model  # noqa: PLC0415 - same
    from lab.report_baselines import read_pictures  # noqa: PLC0415 - same
    from lab.report_curves import AXES  # noqa: PLC0415 - same
    from training.data_sets.data import open_data  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    main, names = main_model(models), models[0].checkpoint.attributes.names
    data, others = open_data(arguments.val, "val"), open_data(arguments.nonfaces_val, "val")
    material.check_labelled(data, names)
    long_runs = [] if arguments.results is None else material.read_long_runs(arguments.results)
    val = material.split_val(data, read_pictures(data, names, progress), names)
    teachers = [] if arguments.teacher is None else [[material.teacher_predictor(arguments.teacher, val)]]
    made, commoner, commoner_from = _baselines(models, val, arguments, progress)
    report = material.presence(main, val.report.fields, material.report_half(others, progress))
    document = build(
        models,
        Material(
            bench=val.bench(),
            commoner_yes=commoner,
            commoner_from=commoner_from,
            grouping=material.report_grouping(data, val),
            others=[*made, *teachers],
            presence=report,
        ),
        AXES,
        progress,
    )
    return {**document, "long_runs": long_runs, **_origin(arguments)}, main


def _baselines(
    models: list["Model"], val: "Val", arguments: argparse.Namespace, progress: Callable[[str], None]
) -> tuple[list[list["Predictor"]], Any, str]:
    """Trained baselines, the commoner answers, and where those are from."""
    from lab.attribute_report import main_model  # noqa: PLC0415 - `lsi --help` works without the extras
    from lab.report_baselines import Workshop, baselines, read_pictures  # noqa: PLC0415 - same
    from lab.report_material import check_labelled, commoner_yes  # noqa: PLC0415 - same
    from training.attributes.baselines import BaselineSettings  # noqa: PLC0415 - same
    from training.data_sets.data import open_data  # noqa: PLC0415 - same

    if arguments.data is None:
        return [], commoner_yes(val.tune.attributes), "val tune"
    data = open_data(arguments.data, "train")
    check_labelled(data, val.names)
    train = read_pictures(data, val.names, progress)
    workshop = Workshop(
        train=train,
        tune=val.tune,
        report=val.report,
        settings=BaselineSettings(epochs=arguments.baseline_epochs),
        seeds=tuple(range(arguments.baseline_seeds)),
        progress=progress,
    )
    made = baselines(workshop, sorted({each.d for each in models}), main_model(models).d)
    return made, commoner_yes(train.attributes), "train"


def check_arguments(arguments: argparse.Namespace) -> None:
    """Refuse numbers out of range before anything is read.

    Raises:
        ConfigError: One is.
    """
    limits = {"baseline_epochs": (1, 1000), "baseline_seeds": (1, 16), "threads": (1, 64)}
    for name, (low, high) in limits.items():
        value = getattr(arguments, name)
        if not low <= value <= high:
            raise ConfigError(
                f"--{name.replace('_', '-')} is {value}.", hint=f"a whole number in {low}..{high}."
            )


def require_extras() -> None:
    """Say at once what has to be installed.

    Raises:
        ConfigError: PyTorch or matplotlib is missing.
    """
    for module, extra in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            found = f"The report needs {module}, which is not installed."
            raise ConfigError(found, hint=f"pip install 'lsi-host[{extra}]'.")


def _origin(arguments: argparse.Namespace) -> dict[str, Any]:
    files = {"val": arguments.val, "nonfaces-val": arguments.nonfaces_val, "data": arguments.data}
    files |= {"teacher": arguments.teacher, "results": arguments.results}
    words = ["lsi", "report", *(path.name for path in arguments.checkpoints)]
    for name, path in files.items():
        words += [] if path is None else [f"--{name}", path.name]
    words += ["--baseline-epochs", str(arguments.baseline_epochs)]
    words += ["--baseline-seeds", str(arguments.baseline_seeds)]
    seeds = ", ".join(map(str, range(arguments.baseline_seeds)))
    trained = (
        f"Baselines were trained here on {arguments.data.name}: {arguments.baseline_epochs} epochs without "
        f"augmentation, read-out of the product's size, seeds {seeds}."
        if arguments.data
        else "No baseline was trained for this page: there was no training file (--data)."
    )
    return {
        "command": shlex.join(words),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "baseline_words": trained,
    }


def _write(path: Path, content: str) -> None:
    with whole_file(path) as file:
        file.write(content.encode("utf-8"))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
