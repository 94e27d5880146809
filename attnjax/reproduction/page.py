"""The report's page: typed pieces in, one self-contained HTML text out.

No template engine and no address outside the page: figures are embedded, type is the reader's own. Every text goes
through `html.escape`.
"""

import base64
import re
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from attnjax.reproduction.experiment import Table
from attnjax.reproduction.judge import FAILS, HOLDS, Verdict
from attnjax.reproduction.stylesheet import CSS

MARKS = {HOLDS: ("holds", "✓"), FAILS: ("fails", "✗")}


_WITH_INTERVAL = re.compile(r"^([-+\d.e]+) (\[[-+\d.e]+, [-+\d.e]+\])$")


class Picture(NamedTuple):
    """A drawn figure and the files that hold it.

    Attributes:
        title: its short name.
        caption: what a reader sees in it.
        svg: the drawing.
        files: label and path of each file, relative to the page.
    """

    title: str
    caption: str
    svg: bytes
    files: Sequence[tuple[str, str]]


class Section(NamedTuple):
    """One experiment's part of the page.

    Attributes:
        name: the experiment's name; also the section's anchor.
        title: its heading.
        question: what it asks.
        source: where it comes from.
        facts: label and text of each fact about the run.
        notice: what the reader must be warned of; may be empty.
        tables: with the path of each one's CSV file, relative to the page.
        pictures: its figures.
        certificates: label and text of each certificate.
    """

    name: str
    title: str
    question: str
    source: str
    facts: Sequence[tuple[str, str]]
    notice: str
    tables: Sequence[tuple[Table, str]]
    pictures: Sequence[Picture]
    certificates: Sequence[tuple[str, str]]


def page(
    *,
    summary: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    missing: Sequence[tuple[str, str]],
    verdicts: Sequence[Verdict],
    commands: Sequence[tuple[str, str]],
) -> str:
    """Returns the whole page.

    Args:
        summary: one sentence on what came out.
        facts: label and text for the head: when, commit, device, versions.
        sections: one per experiment with a record.
        missing: name and command of each experiment without one.
        verdicts: one per claim.
        commands: command and what it does, for the last part.
    """
    contents = [(section.name, section.title) for section in sections]
    contents += [("claims", "Claims"), ("reproduce", "Reproduce")]
    links = "".join(f'<li><a href="#{escape(anchor)}">{escape(title)}</a></li>' for anchor, title in contents)
    parts = [
        '<header class="top"><p class="kicker">attnjax</p><h1>Reproduction report</h1>',
        f'<p class="lede">{escape(summary)}</p>{_facts(facts)}',
        f'<nav aria-label="Contents"><ol>{links}</ol></nav></header>',
        "<main>",
        *(_section(section) for section in sections),
        _missing(missing),
        _claims(verdicts),
        _commands(commands),
        "</main>",
        "<footer><p>Every number, table and figure above is made from the records of the runs; "
        "none is typed.</p></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>attnjax: reproduction report</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def number(value: Any) -> str:
    """Returns a table's cell as text: four significant digits, a true minus sign, texts as they are.

    >>> number(-0.123456), number(1682), number("mean")
    ('−0.1235', '1682', 'mean')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.4g}"
        return (text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")).replace("-", "−")
    return str(value).replace("-", "−") if isinstance(value, int) else "" if value is None else str(value)


def _section(section: Section) -> str:
    """Returns one experiment's part."""
    parts = [
        f'<section class="experiment" id="{escape(section.name)}"><p class="kicker">{escape(section.source)}</p>',
        f'<h2>{escape(section.title)}</h2><p class="lede">{escape(section.question)}</p>',
        f'<p class="notice">{escape(section.notice)}</p>' if section.notice else "",
        *(_table(table, file) for table, file in section.tables),
        *(_picture(picture) for picture in section.pictures),
        f'<div class="proof"><h3>Certificates</h3>{_facts(section.certificates)}</div>' if section.certificates else "",
        f'<div class="run"><h3>The run</h3>{_facts(section.facts)}</div></section>',
    ]
    return "\n".join(part for part in parts if part)


def _table(table: Table, file: str) -> str:
    """Returns a table with its title, its note, and a link to its file."""
    numeric = [
        any(_is_number(row[place]) for row in table.rows)
        and all(_is_number(row[place]) or row[place] in (None, "", "-", "–") for row in table.rows)
        for place in range(len(table.columns))
    ]
    kinds = [' class="n"' if is_number else "" for is_number in numeric]
    head = "".join(f'<th scope="col"{k}>{escape(c)}</th>' for c, k in zip(table.columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{_cell(cell)}</td>" for cell, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in table.rows
    )
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    return (
        f'<figure class="table"><figcaption><strong>{escape(table.title)}</strong></figcaption>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<div class="under">{note}{_files([("CSV", file)])}</div></figure>'
    )


def _is_number(cell: Any) -> bool:
    """Says whether a cell is a number, or a text such as `0.84 [0.83, 0.85]`."""
    return (isinstance(cell, int | float) and not isinstance(cell, bool)) or bool(_WITH_INTERVAL.match(str(cell)))


def _cell(cell: Any) -> str:
    """Returns a cell; an interval behind a number goes below it, in smaller type."""
    found = _WITH_INTERVAL.match(cell) if isinstance(cell, str) else None
    if found is None:
        return escape(number(cell))
    mean, interval = (escape(part).replace("-", "−") for part in found.groups())
    return f"{mean} <small>{interval}</small>"


def _picture(picture: Picture) -> str:
    """Returns an embedded figure with its caption and links to its files."""
    data = base64.b64encode(picture.svg).decode()
    points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', picture.svg)
    # All figures at one scale, so that their letters are of one size: the house's width fills the page.
    style = f' style="width:{float(points[1]) / 489.6 * 100:.1f}%"' if points else ""
    return (
        f'<figure class="picture"><div><img{style} src="data:image/svg+xml;base64,{data}" '
        f'alt="{escape(picture.caption)}"></div>'
        f"<figcaption><p><strong>{escape(picture.title)}.</strong> {escape(picture.caption)}</p>"
        f"{_files(picture.files)}</figcaption></figure>"
    )


def _files(files: Sequence[tuple[str, str]]) -> str:
    """Returns links to the files beside the page."""
    links = " ".join(f'<a href="{escape(path)}">{escape(label)}</a>' for label, path in files)
    return f'<p class="files">{links}</p>'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    """Returns labelled facts as a list of definitions."""
    items = "".join(f"<div><dt>{escape(label)}</dt><dd>{_breakable(text)}</dd></div>" for label, text in facts)
    return f'<dl class="facts">{items}</dl>'


def _missing(missing: Sequence[tuple[str, str]]) -> str:
    """Returns the list of experiments that have no record yet."""
    if not missing:
        return ""
    items = "".join(f"<li>{escape(title)}: <code>{escape(command)}</code></li>" for title, command in missing)
    return f'<section id="missing"><h2>Not run yet</h2><ul>{items}</ul></section>'


def _claims(verdicts: Sequence[Verdict]) -> str:
    """Returns the table of claims, which becomes cards on a narrow screen."""
    if not verdicts:
        return '<section id="claims"><h2>Claims</h2><p>The project makes no claims yet.</p></section>'
    rows = []
    for verdict in verdicts:
        claim = verdict.claim
        kind, mark = MARKS.get(verdict.outcome, ("unchecked", "–"))
        reason = f"<small>{escape(verdict.reason)}</small>" if verdict.reason else ""
        places = " · ".join(part for part in (claim.source, claim.function, claim.test, claim.tutorial) if part)
        rows.append(
            f'<tr class="{kind}"><td data-label="Claim"><span>{escape(claim.statement)}</span>'
            f"<small><code>{escape(claim.id)}</code> · {_breakable(places)}</small></td>"
            f'<td data-label="Level"><span>{escape(claim.level)}</span><small>{escape(claim.tier)}</small></td>'
            f'<td data-label="Expected"><span>{_signs(claim.expectation)}</span></td>'
            f'<td data-label="Got"><span>{_signs(verdict.got or "–")}</span></td>'
            f'<td data-label="Verdict"><span class="verdict">{mark} {escape(verdict.outcome)}</span>{reason}</td></tr>'
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Claim", "Level", "Expected", "Got", "Verdict"))
    return (
        '<section id="claims"><h2>Claims</h2><p class="lede">What the project says it found, beside what this machine '
        "computed. <em>Exact</em> compares bits, <em>numerical</em> a tolerance with a stated reason, "
        "<em>statistical</em> the interval over seeds.</p>"
        f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></section>'
    )


def _breakable(text: str) -> str:
    """Returns a text whose paths and names may break over lines behind a slash, a colon or an underscore."""
    return re.sub(r"([/_]|::)", r"\1<wbr>", escape(text))


def _signs(text: str) -> str:
    """Returns a comparison with true signs, and with intervals that do not break over lines."""
    for plain, true in (("+-", "±"), ("<=", "≤"), (">=", "≥")):
        text = text.replace(plain, true)
    return re.sub(r"\[[^\[\]]*\]", lambda found: found[0].replace(", ", ",\u00a0"), escape(text))


def _commands(commands: Sequence[tuple[str, str]]) -> str:
    """Returns how to get the same."""
    items = "".join(f"<div><dt><code>{escape(c)}</code></dt><dd>{escape(what)}</dd></div>" for c, what in commands)
    return f'<section id="reproduce"><h2>Reproduce</h2><dl class="commands">{items}</dl></section>'
