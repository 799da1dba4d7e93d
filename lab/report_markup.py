"""Pieces of the page: style sheet, sections, tables, numbers. Nothing here knows what is reported."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

PERCENT: Final = 100
THOUSAND: Final = 1000
STYLE: Final = """
:root{color-scheme:light}
body{margin:0 auto;max-width:72rem;padding:0 1rem 4rem;background:#fff;color:#1a1a1a;
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:1.5rem 0 .5rem}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-top:1px solid #ddd;padding-top:1.2rem}
p,li{max-width:46rem}
.big{display:flex;flex-wrap:wrap;gap:1rem;margin:1.2rem 0;padding:0;list-style:none}
.big li{flex:1 1 10rem;border:1px solid #ddd;border-radius:.5rem;padding:.7rem .9rem}
.big b{display:block;font-size:1.6rem;line-height:1.2}
.big span{color:#555;font-size:.88rem}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1.2rem}
.plots.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr))}
figure{margin:0;max-width:36rem}
figure svg{width:100%;height:auto;display:block}
figcaption,.note{color:#555;font-size:.88rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.3rem 1.2rem .3rem 0;text-align:right;border-bottom:1px solid #eee;vertical-align:top}
th{border-bottom:2px solid #ccc;font-weight:600;vertical-align:bottom}
.text{text-align:left}
tr>:first-child{min-width:11rem;padding-left:.4rem}
td small{display:block;white-space:nowrap}
td.text small{white-space:normal}
td{white-space:nowrap}
td.text{white-space:normal}
tr.ours td{background:#eef5fb}
tr.trivial td{color:#555;font-style:italic}
small{color:#555}
.masks{display:grid;grid-template-columns:repeat(auto-fill,minmax(5rem,1fr));gap:.5rem}
.masks img{width:100%;height:auto;image-rendering:pixelated;border:1px solid #ccc}
code{font-size:.85rem;overflow-wrap:anywhere}
@media print{
body{padding:0;font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
h2{break-after:avoid;margin-top:1.4rem}
tr,figure,.big li{break-inside:avoid}
.scroll{overflow:visible}
table{font-size:7.5pt}
th,td{padding:.15rem .6rem .15rem 0}
tr>:first-child{min-width:0}
.big b{font-size:1.2rem}
.plots.wide{grid-template-columns:1fr 1fr}
}
"""


def whole_page(title: str, parts: Iterable[str]) -> str:
    """One HTML file that needs nothing but itself."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def section(title: str, content: str) -> str:
    """A heading with its content; nothing where there is no content."""
    return f"<section><h2>{escape(title)}</h2>\n{content}\n</section>" if content else ""


def note(words: str) -> str:
    """A paragraph in small print."""
    return f'<p class="note">{escape(words)}</p>'


def paragraph(words: str) -> str:
    """A paragraph."""
    return f"<p>{escape(words)}</p>"


def row(cells: Iterable[str], mark: str = "") -> str:
    """A row of ready cells; ``mark`` is its class."""
    opened = f'<tr class="{escape(mark)}">' if mark else "<tr>"
    return f"{opened}{''.join(cells)}</tr>"


def text(words: str, small: str = "") -> str:
    """A cell of words."""
    more = f"<small>{escape(small)}</small>" if small else ""
    return f'<td class="text">{escape(words)}{more}</td>'


def figure(words: str, small: str = "") -> str:
    """A cell of a number."""
    more = f"<small>{escape(small)}</small>" if small else ""
    return f"<td>{escape(words)}{more}</td>"


def table(heads: Sequence[str], rows: Iterable[str]) -> str:
    """A table that scrolls sideways on a phone. A head that ends in ``|`` stands over words."""
    cells = "".join(
        f'<th class="text">{escape(head[:-1])}</th>' if head.endswith("|") else f"<th>{escape(head)}</th>"
        for head in heads
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{"".join(rows)}</table></div>'


def plots(pairs: Iterable[tuple[str, str]], *, wide: bool = False) -> str:
    """Figures with captions, side by side where there is room."""
    shown = "".join(f"<figure>{svg}<figcaption>{escape(words)}</figcaption></figure>" for svg, words in pairs)
    return f'<div class="plots{" wide" if wide else ""}">{shown}</div>'


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def strength(value: float) -> str:
    """Three digits, large numbers in groups of thousands."""
    if abs(value) < THOUSAND:
        return f"{value:.3g}"
    return f"{float(f'{value:.2g}'):,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(part: float | None, digits: int = 1) -> str:
    """A part of 1 as per cent, without the sign."""
    return number(None if part is None else PERCENT * part, digits)
