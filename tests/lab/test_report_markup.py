"""Pieces of the page: nothing breaks out of its place, and no number is shown as none."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.report_markup import figure, number, percent, plots, row, section, table, text, whole_page


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1))
def test_words_stay_words_whatever_they_are(words: str) -> None:
    parser = _Texts()
    parser.feed(text(words, words))
    parser.close()
    assert parser.tags == ["td", "small"]
    assert parser.words == words + words


def test_a_number_that_does_not_exist_is_a_dash() -> None:
    assert [number(None), number(float("nan")), percent(None), number(0.12345), percent(0.8741, 2)] == [
        "-",
        "-",
        "-",
        "0.123",
        "87.41",
    ]


def test_a_table_tells_words_from_numbers() -> None:
    found = table(("what|", "value"), [row((text("a"), figure("1", "0 to 2")), "ours")])
    assert '<th class="text">what</th><th>value</th>' in found
    assert '<tr class="ours"><td class="text">a</td><td>1<small>0 to 2</small></td></tr>' in found


def test_a_section_without_content_has_no_heading() -> None:
    assert section("Groups", "") == ""
    assert "<h2>Groups &amp; gaps</h2>" in section("Groups & gaps", "<p>x</p>")


@pytest.mark.parametrize("wide", [True, False])
def test_captions_are_escaped_and_drawings_are_not(wide: bool) -> None:
    found = plots([("<svg></svg>", "a < b")], wide=wide)
    assert "<svg></svg><figcaption>a &lt; b</figcaption>" in found
    assert ('class="plots wide"' in found) == wide


def test_the_page_fits_a_phone_and_skips_empty_parts() -> None:
    found = whole_page("a & b", ["<p>1</p>", "", "<p>2</p>"])
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in found
    assert "<title>a &amp; b</title>" in found
    assert "<p>1</p>\n<p>2</p>" in found
