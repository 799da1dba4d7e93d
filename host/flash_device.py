"""One device: send the bundle, have it installed, have it tried, and hear what became of it."""

import contextlib
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any, Final

from host.flash_target import CommandTarget
from lsi.errors import FlashError, SlotError, TrialFailedError

BLOCK_BYTES: Final = 32_768
PAUSES_S: Final = (2.0, 4.0, 8.0, 16.0)
"""Between two tries of a transfer. In all more than the silence after which a device gives up an
earlier one (``edge_app.bundles.inbox``); it keeps what it has."""
SSH_FAILED: Final = 255
_MAX_SAID: Final = 2_000


class Flashed(StrEnum):
    """How flashing a device ended."""

    ACTIVE = "active"
    ALREADY_ACTIVE = "already active"
    TRIED_AT_NEXT_START = "to be tried at its next start"
    CHECKED = "could be flashed"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a bundle is to be flashed."""

    offline_ok: bool = False
    dry_run: bool = False


Progress = Callable[[str, int, int], None]
"""Told what is done, and how far: done and total."""


def flash_device(target: CommandTarget, content: bytes, wishes: Wishes, told: Progress) -> Flashed:
    """Bring the bundle file ``content`` onto the device and wait for the end of its trial.

    Raises:
        TrialFailedError: The device went back to the bundle before; the message has its reason.
        FlashError: It could not be reached, or refused; the message has its words.
    """
    digest = hashlib.sha256(content).hexdigest()
    if wishes.dry_run:
        return _looked_at(target, digest)
    if _is_active(target, digest):
        return Flashed.ALREADY_ACTIVE
    send(target, content, digest, told)
    told("installing", 0, 1)
    installed = _answer(target, "install", "--received", digest)
    if installed["standing"] == Flashed.ACTIVE:
        return Flashed.ALREADY_ACTIVE
    words = ["--offline-ok"] if wishes.offline_ok else []
    told("trial", 0, 1)
    tried = _answer(target, "activate", "--wait", *words)
    return Flashed.TRIED_AT_NEXT_START if tried.get("service") == "stopped" else Flashed.ACTIVE


def send(
    target: CommandTarget,
    content: bytes,
    digest: str,
    told: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Bring ``content`` into the inbox of the device; a lost connection is made anew and goes on.

    Raises:
        FlashError: It was lost too often, or the device refused.
    """
    for pause_s in (*PAUSES_S, None):
        try:
            _send_once(target, content, digest, told, is_again=pause_s != PAUSES_S[0])
        except _ConnectionLostError as error:
            if pause_s is None:
                raise FlashError(error.found, hint=error.hint) from error
            pause(pause_s)
        else:
            return


class _ConnectionLostError(FlashError):
    """The other end went away in mid-transfer, and may be back in a moment."""


def _send_once(target: CommandTarget, content: bytes, digest: str, told: Progress, *, is_again: bool) -> None:
    words = ("receive", digest, str(len(content)))
    with _called(target, *words) as (process, said):
        is_begun = False
        try:
            begun = _first_answer(process)
            is_begun = begun is not None
            if begun is not None:
                _pour(process, content, int(begun["have"]), told)
        except (BrokenPipeError, ValueError, KeyError):
            pass  # the exit code and what was said tell more
        code, complaint = _ended(process), said()
    if code == 0:
        return
    # After a loss ssh may not get through, or the device still wait for the rest of an earlier try.
    lost = {SSH_FAILED, FlashError.exit_code} if is_begun else set()
    if code < 0 or code in lost | ({SSH_FAILED, SlotError.exit_code} if is_again else set()):
        raise _ConnectionLostError(
            f"{target.label}: the connection was lost.", hint="the same command again."
        )
    raise _refused(target, code, complaint)


def _pour(process: "subprocess.Popen[bytes]", content: bytes, start: int, told: Progress) -> None:
    pipe = _pipe(process.stdin)
    for position in range(start, len(content), BLOCK_BYTES):
        told("sending", position, len(content))
        pipe.write(content[position : position + BLOCK_BYTES])
        pipe.flush()
    pipe.close()
    told("sending", len(content), len(content))


def _first_answer(process: "subprocess.Popen[bytes]") -> dict[str, Any] | None:
    line = _pipe(process.stdout).readline()
    answer: dict[str, Any] | None = json.loads(line) if line else None
    return answer


def _answer(target: CommandTarget, *words: str) -> dict[str, Any]:
    """The last line that ``lsi-edge bundle WORDS`` writes, as JSON."""
    with _called(target, *words) as (process, said):
        output, _ = process.communicate()
        code, complaint = process.returncode, said()
    if code != 0:
        raise _refused(target, code, complaint)
    try:
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError) as cause:
        found = f"{target.label} answered something that is no answer of lsi-edge."
        raise FlashError(
            found, hint="the same release of lsi-edge there; a shell that prints nothing."
        ) from cause
    return answer


def _is_active(target: CommandTarget, digest: str) -> bool:
    slots = _answer(target, "list")["slots"].values()
    return any(each and each["digest"] == digest and each["standing"] == Flashed.ACTIVE for each in slots)


def _looked_at(target: CommandTarget, digest: str) -> Flashed:
    return Flashed.ALREADY_ACTIVE if _is_active(target, digest) else Flashed.CHECKED


@contextlib.contextmanager
def _called(
    target: CommandTarget, *words: str
) -> Iterator[tuple["subprocess.Popen[bytes]", Callable[[], str]]]:
    """``lsi-edge bundle WORDS`` on the device, and a function that gives what it complained about."""
    with tempfile.TemporaryFile() as complaints:

        def said() -> str:
            complaints.seek(0)
            return complaints.read().decode(errors="replace")

        command = target.bundle_command(*words)
        try:
            process = subprocess.Popen(  # noqa: S603 - words of ours, quoted for the shell over there
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
        except OSError as cause:
            raise FlashError(
                f"{command[0]} cannot be started ({cause.strerror}).", hint="install it."
            ) from cause
        with process:
            try:
                yield process, said
            except BaseException:
                process.kill()
                raise


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Let the other end finish: close its input, drain its output."""
    pipe = _pipe(process.stdin)
    if not pipe.closed:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    _pipe(process.stdout).read()
    return process.wait()


def _refused(target: CommandTarget, code: int, said: str) -> FlashError | TrialFailedError:
    lines = [line.strip() for line in said[-_MAX_SAID:].splitlines() if line.strip()]
    own = [line.removeprefix("lsi-edge: ") for line in lines if line.startswith("lsi-edge: ")]
    words = (own or lines or [f"it ended with code {code}"])[-1]
    if code == TrialFailedError.exit_code:
        return TrialFailedError(f"{target.label}: {words}")
    return FlashError(f"{target.label}: {words}")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:  # pragma: no cover - opened with pipes
        raise FlashError("The command has no pipe.")
    return pipe
