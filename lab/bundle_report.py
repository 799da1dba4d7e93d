"""What a bundle says about itself, and in what two bundles differ; golden values never."""

from dataclasses import asdict
from typing import Any, Final

from lsi.bundle import BundleFile, contents_of
from lsi.mask_rank import mask_rank
from lsi.trust import signature_of

FIGURES_HEADING: Final = "## Figures"
FIGURE_LINES: Final = 24
_DIGITS: Final = 12
"""Hexadecimal digits of a hash that people are shown."""


def describe(file: BundleFile) -> dict[str, Any]:
    """All that ``lsi bundle inspect`` shows, as one JSON document."""
    bundle = contents_of(file)
    signature = signature_of(file)
    fields = asdict(file.manifest)
    del fields["files"]
    return {
        "file": file.source.name,
        "manifest": fields,
        "members": {name: len(content) for name, content in file.members.items()},
        "signed_by": None if signature is None else signature.key_name,
        "trusted_comment": None if signature is None else signature.trusted_comment,
        "attributes": list(bundle.attributes.names),
        "allowed": sorted(bundle.allowed),
        "mask_rank": mask_rank(bundle.patterns),
        "golden_vectors": len(bundle.golden.inputs),
        "figures": figures_of(bundle.card),
    }


def figures_of(card: str) -> list[str]:
    """The first lines of the card's section of figures, fit for a terminal."""
    _, _, after = card.partition(FIGURES_HEADING)
    section = after.partition("\n## ")[0].strip().splitlines()
    return [printable(line) for line in section[:FIGURE_LINES]]


def as_lines(description: dict[str, Any]) -> list[str]:
    """A description for people."""
    manifest = description["manifest"]
    lines = [f"{key:16} {_shown(value)}" for key, value in manifest.items()]
    signer = description["signed_by"]
    lines.append(f"{'signed by':16} {'nobody' if signer is None else f'key {signer} (not verified)'}")
    lines += [f"{key:16} {_shown(description[key])}" for key in ("attributes", "allowed")]
    lines += [f"{'mask rank':16} {description['mask_rank']}"]
    lines += [f"{'golden vectors':16} {description['golden_vectors']} (values are not shown)", "", "members"]
    lines += [f"{size:10} bytes  {name}" for name, size in description["members"].items()]
    return [*lines, "", "figures, as the card gives them", *description["figures"]]


def differences(one: BundleFile, two: BundleFile) -> list[str]:
    """One line per field of the manifest and per member that differs."""
    first, second = asdict(one.manifest), asdict(two.manifest)
    lines = [
        f"{key}: {_shown(first[key])} -> {_shown(second[key])}"
        for key in first
        if key != "files" and first[key] != second[key]
    ]
    if _signer(one) != _signer(two):
        lines.append(f"signed by: {_signer(one)} -> {_signer(two)}")
    for name in sorted({*one.manifest.files, *two.manifest.files}):
        before, after = (_entry(file, name) for file in (one, two))
        if before != after:
            lines.append(f"{name}: {before} -> {after}")
    return lines


def printable(text: str) -> str:
    """``text`` without anything that steers a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _entry(file: BundleFile, name: str) -> str:
    entry = file.manifest.files.get(name)
    return "absent" if entry is None else f"{entry.size} bytes {entry.sha256[:_DIGITS]}"


def _signer(file: BundleFile) -> str:
    signature = signature_of(file)
    return "nobody" if signature is None else f"key {signature.key_name}"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return printable(", ".join(map(str, value)))
    return "none" if value is None else printable(str(value))
