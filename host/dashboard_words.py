"""What the dashboard says of a device, in words."""

from typing import Final

from host.fleet import DeviceState, Fleet
from host.listen_line import printable
from lsi.problems import ADVICE
from lsi.rollback import ROLLBACK_TEXT
from lsi.topics import Availability
from lsi.update_state import UpdateState
from transport.broker import LinkState

STALE_S: Final = 150.0
"""Two heartbeats and a half."""
REJECTED_SHOWN: Final = 20


def summary_of(fleet: Fleet) -> str:
    """The fleet in one line."""
    online = sum(device.availability is Availability.ONLINE for device in fleet.devices.values())
    sent = sum(sum(device.bytes_by_kind.values()) for device in fleet.devices.values())
    more = f", {fleet.unknown_devices} messages of more devices than fit" if fleet.unknown_devices else ""
    away = f", {fleet.rejected_count:,} messages rejected" if fleet.rejected_count else ""
    return f"{online} of {len(fleet.devices)} online, {sent:,} bytes received{away}{more}"


def link_trouble(fleet: Fleet) -> str:
    """Why nothing comes from the broker; empty while the connection stands."""
    link = fleet.link
    if link is None:
        return "Connecting to the broker."
    if link.state is LinkState.ONLINE:
        return ""
    return printable(f"No connection to the broker ({link.reason}): what is shown is old.")


def rejected_lines(fleet: Fleet) -> str:
    """The last messages that no device of ours sends, newest first, and why."""
    last = list(fleet.rejected)[: -REJECTED_SHOWN - 1 : -1]
    return "\n".join(
        printable(f"{each.topic[:120]} ({each.size_bytes} bytes): {each.reason[:200]}") for each in last
    )


def needs_attention(device: DeviceState, now_s: float) -> bool:
    """Whether somebody should look: offline, silent, a problem, a rollback, or records that are lost."""
    health, slots = device.health, None if device.info is None else device.info.slots
    outbox = None if health is None else health.outbox
    return (
        device.availability is not Availability.ONLINE
        or is_silent(device, now_s)
        or (health is not None and bool(health.problems))
        or (outbox is not None and outbox.dropped + outbox.dead > 0)
        or (slots is not None and slots.rollback is not None)
    )


def is_silent(device: DeviceState, now_s: float) -> bool:
    """Whether what is shown may be old."""
    return bool(device.heard_s) and now_s - device.heard_s > STALE_S


def facts_of(device: DeviceState, now_s: float) -> str:
    """What it is, its health and backlog, the last visit and when it was heard."""
    lines = []
    if (info := device.info) is not None:
        lines.append(f"{info.board}{' (simulated)' if info.simulated else ''}, {info.mode}, {info.d} masks")
    lines.extend(_health_lines(device))
    if (visit := device.visit) is not None:
        lasted = "" if visit.duration_s is None else f" after {visit.duration_s} s"
        lines.append(f"visit {visit.phase}{lasted}, {visit.ts[11:19]} UTC")
    lines.append(_age(device, now_s))
    return "\n".join(lines)


def _health_lines(device: DeviceState) -> list[str]:
    health = device.health
    if health is None:
        return ["health not heard of yet"]
    heat = "" if health.temperature_c is None else f", {health.temperature_c:.0f} °C"
    word = "has a problem" if health.problems else "healthy"
    lines = [f"{word}: {health.scans:,} scans, {health.scans_failed:,} dropped{heat}"]
    if (outbox := health.outbox) is not None:
        lost = outbox.dropped + outbox.dead
        lines.append(f"{outbox.rows:,} records wait on the device{f', {lost:,} were lost' if lost else ''}")
    if health.paused_s:
        lines.append(f"paused for {health.paused_s} s more")
    return lines


def _age(device: DeviceState, now_s: float) -> str:
    if not device.heard_s:
        return "heard nothing since this page's program started"
    old = ": what is shown may be old" if is_silent(device, now_s) else ""
    return f"heard {now_s - device.heard_s:.0f} s ago{old}"


def bundle_of(device: DeviceState) -> str:
    """Which bundle runs, what is staged, and what the device went back from and why."""
    info = device.info
    if info is None:
        return ""
    trial = ", on trial" if info.slots is not None and info.slots.is_trial else ""
    lines = [f"bundle {info.bundle_name} {info.bundle_version} ({info.bundle_id}){trial}"]
    if device.update is not None:
        lines.extend(_staged(device.update))
    if info.slots is not None and (back := info.slots.rollback) is not None:
        lines.append(f"went back from {back.name} {back.version} ({back.bundle_id}):")
        lines.append(ROLLBACK_TEXT[back.reason])
    if info.slots is not None and info.slots.downgrades:
        epochs = f"security epoch {info.slots.security_epoch}, once {info.slots.highest_epoch}"
        lines.append(f"{epochs}: root lowered it {info.slots.downgrades} times")
    return "\n".join(lines)


def _staged(update: UpdateState) -> list[str]:
    if update.installed == update.latest:
        return []
    if not update.in_progress:
        return [f"{update.latest} is staged"]
    done = "" if update.percentage is None else f" ({update.percentage} %)"
    return [f"{update.latest} is being installed{done}"]


def problems_of(device: DeviceState) -> str:
    """Each problem with what to try."""
    if device.health is None:
        return ""
    return "\n".join(f"{problem}: {ADVICE[problem]}" for problem in sorted(device.health.problems))


def left_of(device: DeviceState) -> str:
    """What left the device, by topic, since this program listens."""
    rows = [
        (str(kind), device.messages_by_kind[kind], size) for kind, size in device.bytes_by_kind.most_common()
    ]
    return "\n".join(f"{kind:13}{count:7,} messages {size:10,} bytes" for kind, count, size in rows)
