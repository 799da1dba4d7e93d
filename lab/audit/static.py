"""What can be seen without any data: masks, schemas, imports, service unit, retained topics, outbox."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

from edge_app.records.outbox_records import OutboxLimits
from lsi.bundle import Bundle
from lsi.disclosure import PayloadMode
from lsi.errors import BundleError
from lsi.mask_rank import RANK_CAP, mask_rank
from lsi.schema import SCHEMA_NAMES, load_schema
from lsi.topics import RETAINED, Kind

TELLING: Final = frozenset({"attr", "event", "agg", "latent"})
"""Topics and schemas that tell of a scene."""
FORBIDDEN_MODULES: Final = frozenset(
    {
        "host", "training", "export", "lab",
        "torch", "torchvision", "PIL", "cv2", "skimage", "scipy", "matplotlib", "imageio",
        "picamera2", "libcamera",
    }
)  # fmt: skip
MOST_OUTBOX_S: Final = 24 * 3600.0
MOST_ACCEPTED_S: Final = 600.0
UNIT: Final = "lsi-edge.service"
UNIT_WANTS: Final[Mapping[str, str]] = {
    "DevicePolicy": "closed",
    "SocketBindDeny": "any",
    "ProtectSystem": "strict",
    "NoNewPrivileges": "yes",
    "LimitCORE": "0",
    "PrivateTmp": "yes",
    "UMask": "0077",
}
_PROBE: Final = """
import json, sys
import edge_app.cli, edge_app.service
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that holds or does not. ``found`` is for people."""

    name: str
    found: str
    holds: bool


def static_facts(bundle: Bundle) -> list[dict[str, Any]]:
    """All of them, as JSON holds them."""
    facts = (_rank(bundle), _schemas(), _imports(), _unit(), _devices(), _retained(), _outbox())
    return [asdict(fact) for fact in facts]


def _rank(bundle: Bundle) -> Fact:
    rank = mask_rank(bundle.patterns)
    try:
        cap = RANK_CAP[PayloadMode(bundle.manifest.mode)]
    except ValueError as cause:
        found = f"The bundle's mode is '{bundle.manifest.mode}'."
        raise BundleError(found, hint=f"one of {', '.join(PayloadMode)}.") from cause
    height, width = bundle.patterns.shape[1:]
    allowed = f"mode {bundle.manifest.mode} allows {cap}"
    found = f"{len(bundle.patterns)} masks of rank {rank} of {height * width}; {allowed}"
    return Fact("mask rank", found, rank <= cap)


def _schemas() -> Fact:
    """No schema of a payload lets through text of any content, bytes or unnamed numbers."""
    telling = sorted(TELLING & set(SCHEMA_NAMES) - {"latent"})
    open_places = [f"{name}: {place}" for name in telling for place in loose_places(load_schema(name))]
    found = f"{', '.join(telling)}: " + (
        "; ".join(open_places) or "every text has a pattern, every object its keys"
    )
    return Fact("payload schemas", found, not open_places)


def loose_places(schema: object, path: str = "") -> Iterator[str]:
    """Where a JSON Schema lets something through that it does not describe."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from loose_places(item, f"{path}[{index}]")
    if isinstance(schema, dict):
        yield from (f"{path or 'top level'} {reason}" for reason in _loose(schema))
        for key in ("properties", "$defs"):
            for name, each in schema.get(key, {}).items():
                yield from loose_places(each, f"{path}.{name}" if path else name)
        for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems"):
            yield from loose_places(schema.get(key), path)


def _loose(schema: Mapping[str, Any]) -> Iterator[str]:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds and not {"pattern", "enum", "const"} & set(schema):
        yield "is free text"
    if "object" in kinds and schema.get("additionalProperties", True) is True:
        yield "takes unknown keys"
    if "number" in kinds and not {"minimum", "maximum"} <= set(schema):
        yield "is a number without bounds"


def _imports() -> Fact:
    """A fresh interpreter that imports the service knows no image library, decoder or host package."""
    result = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return Fact(
            "imports of the device", f"the service does not import: {result.stderr[-200:]}", holds=False
        )
    loaded = set(json.loads(result.stdout.splitlines()[-1]))
    wrong = sorted(loaded & FORBIDDEN_MODULES)
    found = f"the service loads {len(loaded)} packages; forbidden ones: {', '.join(wrong) or 'none'}"
    return Fact("imports of the device", found, not wrong)


def unit_settings() -> dict[str, list[str]]:
    """The [Service] section of the unit file, values in order."""
    text = resources.files("hardware").joinpath("systemd", UNIT).read_text("utf-8")
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith(("#", ";")):
            settings.setdefault(key.strip(), []).append(value.strip())
    return settings


def _unit() -> Fact:
    settings = unit_settings()
    wrong = [
        f"{key} is not {value}" for key, value in UNIT_WANTS.items() if settings.get(key, [""])[-1] != value
    ]
    return Fact(
        "service unit", "; ".join(wrong) or "closed devices, no listening socket, no core dump", not wrong
    )


def _devices() -> Fact:
    allowed = unit_settings().get("DeviceAllow", [])
    cameras = [each for each in allowed if any(word in each for word in ("video", "media", "dma_heap"))]
    return Fact("devices of the service", ", ".join(allowed) or "none", not cameras)


def _retained() -> Fact:
    telling = sorted(str(kind) for kind in RETAINED if kind in TELLING)
    found = f"retained: {', '.join(sorted(RETAINED))}; of {len(Kind)} topics"
    return Fact("retained topics", found, not telling)


def _outbox() -> Fact:
    limits = OutboxLimits()
    sent_min = limits.keep_accepted_s / 60
    found = f"records wait at most {limits.max_age_s / 3600:g} h, sent ones stay {sent_min:g} min"
    return Fact(
        "outbox", found, limits.max_age_s <= MOST_OUTBOX_S and limits.keep_accepted_s <= MOST_ACCEPTED_S
    )
