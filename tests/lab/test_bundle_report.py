from pathlib import Path

from lab.bundle_report import FIGURE_LINES, as_lines, describe, figures_of, printable
from lsi.bundle import open_archive, write_bundle
from tests.bundles import small_bundle, small_files, small_manifest

CARD = "# Name\n\n## Figures\n\nMacro AUC 0.9.\n\n| a | b |\n\n## Limits\n\nNone.\n"


def test_the_figures_of_a_card_are_its_section_of_that_name() -> None:
    assert figures_of(CARD) == ["Macro AUC 0.9.", "", "| a | b |"]


def test_a_card_without_figures_has_none() -> None:
    assert figures_of("# Name\n") == []


def test_only_the_first_lines_are_shown() -> None:
    assert len(figures_of("## Figures\n" + "line\n" * 1000)) == FIGURE_LINES


def test_nothing_in_a_bundle_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a?[2Jb?c"
    files = small_files(MODEL_CARD=b"## Figures\n\x1b]0;owned\x07\n")
    file = open_archive(write_bundle(small_manifest(files), files), Path("small.lsib"))
    assert all(line.isprintable() for line in as_lines(describe(file)))


def test_an_unsigned_bundle_is_signed_by_nobody() -> None:
    description = describe(open_archive(small_bundle(), Path("small.lsib")))
    assert description["signed_by"] is None
    assert description["mask_rank"] == 3
    assert any(line.split() == ["signed", "by", "nobody"] for line in as_lines(description))
