"""``lsi audit``: attack a bundle, and say what an attacker gets from what it sends.

``lsi audit proxies`` looks at the labels alone.
"""

import argparse
import datetime as dt
import importlib.util
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware.boards.board import SIMULATED_BOARD, Board, find_board
from lab.bench_rig import with_power
from lab.evaluate_command import tell
from lsi.attribute_classes import built_in_classes, read_classes
from lsi.bundle import Bundle, read_bundle
from lsi.errors import AuditError, AuditUndecidedError, ConfigError
from lsi.key_files import read_secret_key

if TYPE_CHECKING:
    from lab.audit.document import Document, Written
    from lab.audit.reconstruction import Guess
    from lab.audit.views import Subject

HELP: Final = "attack a bundle: who can be found again, what can be seen; audit.json and a page"
PROXIES: Final = "proxies"
MOST_LEARNED: Final = 8000
WINDOWS: Final = 200_000
_NEEDED: Final = {"torch": "train", "matplotlib": "report", "skimage": "demo"}
"""Module and the extra of lsi-host that brings it."""
_SHOWN: Final = {"holds": "holds", "not decided": "not decided", "broken": "BROKEN"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi audit``."""
    parser.epilog = (
        "Example: lsi audit bundles/attr-lite-16-0.2.0.lsib --data val.npz --learn train.npz --key "
        "owner.key. "
        "Or, for the labels alone: lsi audit proxies --data val.npz --of Male"
    )
    parser.add_argument(
        "subject", metavar="BUNDLE", help=f"a .lsib file, or the word '{PROXIES}' for the labels of --data"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="labelled pictures with identities"
    )
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="attribute classes of your own domain (.json)"
    )
    parser.add_argument(
        "--board", default=SIMULATED_BOARD, metavar="NAME_OR_FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--power-nw", type=float, metavar="P", help="white light on both diodes; default: the board's"
    )
    parser.add_argument("--limits", type=Path, metavar="FILE", help="limits that have to hold (.toml)")
    parser.add_argument(
        "--key", type=Path, metavar="KEY", help="the owner's secret key, which signs audit.json"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("audit"), metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument(
        "--windows",
        type=int,
        default=WINDOWS,
        metavar="N",
        help="windows of counts to attack, 0 for none; default: %(default)s",
    )
    parser.add_argument(
        "--of", default="Male,Young", metavar="NAMES", help="proxies of what; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    _add_attackers(parser)


def _add_attackers(parser: argparse.ArgumentParser) -> None:
    attackers = parser.add_argument_group("what attackers have")
    attackers.add_argument(
        "--learn",
        type=Path,
        metavar="FILE",
        help="other people, from whom attackers learn (default: part of --data)",
    )
    attackers.add_argument(
        "--most-learned",
        type=int,
        default=MOST_LEARNED,
        metavar="N",
        help="pictures of them; default: %(default)s",
    )
    attackers.add_argument(
        "--recognition", type=Path, metavar="NET", help="a recognition network (.onnx) that attacks too"
    )
    attackers.add_argument(
        "--generator",
        type=Path,
        metavar="FILE",
        help="of a latent bundle: the generator (or its description in TOML) with which latents are decoded",
    )


def run(arguments: argparse.Namespace) -> int:
    """Audit and print; the exit code tells whether every limit holds."""
    if arguments.subject == PROXIES:
        return _proxies(arguments)
    document, written = _audited(arguments)
    if arguments.json:
        print(json.dumps(document))
    else:
        print("\n".join(_lines(document, written)))
    _raise_unless_held(document, written)
    return 0


def _raise_unless_held(document: "Document", written: "Written") -> None:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for each in document["verdicts"]:
        kinds.setdefault(each["verdict"], []).append(each)
    if broken := kinds.get("broken"):
        names = ", ".join(each["name"] for each in broken)
        raise AuditError(f"Limits are broken: {names}.", hint=f"{written.page}")
    if undecided := kinds.get("not decided"):
        names = ", ".join(each["name"] for each in undecided)
        most = max(each["decided_by"] for each in undecided)
        raise AuditUndecidedError(f"Not decided: {names}.", hint=f"--windows {most}; {written.page}")


def _audited(arguments: argparse.Namespace) -> "tuple[Document, Written]":
    _check_extras()
    from lab.audit import bench, examine, page, recognition, static, verdicts  # noqa: PLC0415 - extras
    from lab.audit.averaging import averaged  # noqa: PLC0415
    from lab.audit.document import complete, write  # noqa: PLC0415
    from lab.audit.windows import aggregation  # noqa: PLC0415

    # What can be refused at once is refused before minutes of work.
    key = None if arguments.key is None else read_secret_key(arguments.key)
    limits = verdicts.Limits() if arguments.limits is None else verdicts.read_limits(arguments.limits)
    network = None if arguments.recognition is None else recognition.OnnxRecogniser(arguments.recognition)
    subject, board = _subject(arguments), _board(arguments)
    decoded = _decoded(arguments, subject.bundle)
    looked = bench.set_up(
        subject,
        board,
        arguments.data,
        arguments.learn,
        arguments.most_learned,
        lambda name: partial(tell, name),
    )
    seen_by = None if network is None else examine.witness(network, looked)
    found: dict[str, Any] = {
        "data": looked.document(),
        "sensor": f"{board.sensor.power_nw:g} nW white, {board.name}",
        **examine.examine(looked, seen_by, _say, decoded),
    }
    _say("averaging messages")
    found |= {
        "averaging": averaged(looked),
        "aggregation": None,
        "static": static.static_facts(subject.bundle),
    }
    if arguments.windows:
        found["aggregation"] = aggregation(looked, arguments.windows, partial(tell, "windows of counts"))
    document = complete(subject.bundle, found, limits, dt.datetime.now(dt.UTC).date())
    return document, write(arguments.out, document, page.page(document), key)


def _subject(arguments: argparse.Namespace) -> "Subject":
    from lab.audit.views import Subject  # noqa: PLC0415 - extras

    classes = built_in_classes()
    if arguments.classes is not None:
        classes = classes.with_domain(read_classes(arguments.classes))
    return Subject(read_bundle(Path(arguments.subject)), classes)


def _decoded(arguments: argparse.Namespace, bundle: Bundle) -> "Guess | None":
    if arguments.generator is None:
        return None
    from host.decoder.open_decoder import open_decoder  # noqa: PLC0415 - extras
    from lab.audit.decoding import decoded_by  # noqa: PLC0415 - extras

    return decoded_by(open_decoder(arguments.generator), bundle)


def _board(arguments: argparse.Namespace) -> Board:
    board = find_board(arguments.board)
    return board if arguments.power_nw is None else with_power(board, arguments.power_nw)


def _proxies(arguments: argparse.Namespace) -> int:
    from lab.audit.proxies import as_lines, measured_proxies  # noqa: PLC0415
    from training.data_sets.data import open_data  # noqa: PLC0415

    found = measured_proxies(open_data(arguments.data), tuple(filter(None, arguments.of.split(","))))
    print(json.dumps(found) if arguments.json else "\n".join(as_lines(found)))
    return 0


def _lines(document: "Document", written: "Written") -> list[str]:
    bundle = document["bundle"]
    lines = [f"{bundle['name']} {bundle['version']} {bundle['content_id'][:8]}, {document['sensor']}"]
    for name, view in document["views"].items():
        seen = view["identification"]
        first, same = seen["attackers"][seen["finder"]], seen["attackers"][seen["verifier"]]
        low, high = first["rank1_over_chance_95"]
        kind = "sent" if view["sent"] else "never sent"
        if view["image_equivalent"]:
            kind += ", image-equivalent"
        lines.append(
            f"  {name:12} {kind:28} found again {first['rank1_over_chance']:7.2f} x chance ({low:.2f} to "
            f"{high:.2f})"
            f"   AUC {same['auc']:.3f} (chance 0.5)"
        )
    lines += [
        f"  {_SHOWN[each['verdict']]:11} {each['name']:32} {each['value']:8.3f}, at most {each['limit']:g}"
        for each in document["verdicts"]
    ]
    signed = "not signed (--key)" if written.signature is None else f"signed: {written.signature}"
    return [*lines, f"{written.document}, {written.page}; {signed}"]


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _check_extras() -> None:
    missing = [extra for module, extra in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        found = f"An audit needs what is not installed: {', '.join(missing)}."
        raise ConfigError(found, hint=f"pip install 'lsi-host[{','.join(missing)},audit]'.")
