"""``lsi-edge clean-mqtt``: take everything of this device back from the broker and Home Assistant."""

import argparse
import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge_app.cli_commands.command_parts import add_config
from edge_app.link.announced import MANIFEST_NAME, Manifest, Step, read_manifest, write_manifest
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import Announcements
from edge_app.link.home_assistant import retained_topics
from edge_app.link.short_link import short_link
from edge_app.rig.rig_lock import rig_lock
from edge_app.settings.config import load_config
from lsi.errors import ConfigError, PublishError
from transport.broker import Message
from transport.outgoing import OnSettled, Outcome, Settled

ANSWER_TIMEOUT_S: Final = 10.0

Send = Callable[[Message, OnSettled], bool]


def add_clean_mqtt(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    clean = commands.add_parser(
        "clean-mqtt",
        help="remove this device from Home Assistant and its retained messages from the broker",
        description="Removes what this device is recorded to have announced, and the topics under lsi/v1 on "
        "which it leaves retained messages; nothing else. Stop the service first, and leave Home Assistant "
        "running: what it has not heard while running stays there as unavailable.",
        epilog="Example: lsi-edge clean-mqtt --dry-run",
    )
    add_config(clean)
    clean.add_argument(
        "--state", type=Path, metavar="FOLDER", help="default: the one that the configuration names"
    )
    clean.add_argument("--dry-run", action="store_true", help="say what would be removed and connect nowhere")
    clean.set_defaults(command=_clean_mqtt)


def clean(
    send: Send,
    steps: Sequence[Step],
    tell: Callable[[Step], None],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Send ``steps`` at their pace, each once the broker has taken the one before.

    Args:
        send: Hands a message to the broker and later tells what became of it.
        steps: From ``Manifest.removal``.
        tell: Called after each step that the broker took.
        wait: Waits for so many seconds; replaced in tests.

    Raises:
        PublishError: The broker refused at least one step (the others were sent), or went away.
    """
    refused: dict[str, str] = {}
    for step in steps:
        wait(step.delay_s)
        outcome = _delivered(send, step)
        if outcome.settled is Settled.LOST:
            raise PublishError(f"The broker went away ({outcome.reason}).", hint="the same command again.")
        if outcome.settled is Settled.ACCEPTED:
            tell(step)
        else:
            refused[step.topic] = outcome.reason
    if refused:
        found = f"The broker refused {', '.join(f'{topic} ({why})' for topic, why in refused.items())}."
        raise PublishError(found, hint="check the access rules at the broker.")


def _delivered(send: Send, step: Step) -> Outcome:
    answers: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    if not send(step.message, answers.put):
        return Outcome(Settled.LOST, "not connected")
    try:
        return answers.get(timeout=ANSWER_TIMEOUT_S)
    except queue.Empty:
        return Outcome(Settled.LOST, "no answer")


def _clean_mqtt(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    state: Path = parsed.state or config.state
    path = state / MANIFEST_NAME
    if parsed.dry_run:
        for step in _steps(path, config.device_id):
            _tell("would remove", "would clear", step)
        return 0
    if not state.is_dir():
        raise ConfigError(f"There is no folder {state}.", hint="--state with the folder of the service.")
    # The service holds this lock; while it runs it would announce everything anew.
    with rig_lock(state), short_link(config.broker, _guard(path, config.device_id)) as link:
        clean(link.send, _steps(path, config.device_id), lambda step: _tell("removed", "cleared", step))
        _write_removed(path)
    return 0


def _steps(path: Path, device_id: str) -> tuple[Step, ...]:
    return read_manifest(path).removal(retained_topics(device_id))


def _guard(path: Path, device_id: str) -> EgressGuard:
    """Lets removals pass and nothing else."""
    manifest = read_manifest(path)
    clearable = retained_topics(device_id) | manifest.retained | manifest.stale
    return EgressGuard(device_id, announcements=Announcements(earlier=manifest, clearable=clearable))


def _write_removed(path: Path) -> None:
    """Keep what was removed as removals: the command may be repeated if Home Assistant did not run."""
    manifest = read_manifest(path)
    if manifest == Manifest():
        return
    try:
        write_manifest(path, manifest.removed())
    except OSError as cause:
        raise ConfigError(f"{path} cannot be written ({cause.strerror}).", hint="free space.") from cause


def _tell(removed: str, cleared: str, step: Step) -> None:
    """One line for each topic: a removal consists of two steps, of which the last is told."""
    if not step.announces:
        print(f"{removed if step.topic.endswith('/config') else cleared} {step.topic}")
