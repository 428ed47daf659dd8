"""CPU seconds that 1 MB of any repeated markup takes from page to pairs, and what becomes of it.

    python bench/hostile_pages.py [--megabytes 1] [--at-once 2]

Every page repeats one string: each HTML element opened and never closed, closed beside itself, filled with images, in
tables, figures and pictures; formatting elements that cross each other; end tags, attributes, entities, comments,
`srcset`, Markdown. Read as `curate` reads it, within the default limits, the helper process included. A page ends as
images or as a line among the problems of the report; the slowest are shown. Also the largest page that is read without
the helper process, at its size.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

from measure import show, write

from openalign.curation.html.page import SMALL, Form, PageSettings, tags_of_page
from openalign.curation.isolation.records import Problem
from openalign.curation.isolation.time_limit import helper_process

_NAMES = """
a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote
body br button canvas caption center cite code col colgroup command data datalist dd del details dfn dialog
dir div dl dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head
header hgroup hr html i iframe image img input ins isindex kbd keygen label legend li link listing main map
mark marquee menu menuitem meta meter multicol nav nextid nobr noembed noframes noscript object ol optgroup
option output p param picture plaintext pre progress q rb rbc rp rt rtc ruby s samp script search section
select slot small source spacer span strike strong style sub summary sup svg table tbody td template textarea
tfoot th thead time title tr track tt u ul var video wbr xmp math mi mo mn ms mtext annotation-xml
foreignObject desc x-element
"""
ELEMENTS = _NAMES.split()
FORMATTING = ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
SHAPES = {
    "open": "<{0}>",
    "open, with an image": "<{0}><img src=a alt=b>",
    "closed beside itself": "<{0}>x</{0}>",
    "end tags": "</{0}>",
    "with attributes": '<{0} a="1" b="2" class="c d">',
    "in a table": "<table><{0}>",
    "in a paragraph in an emphasis": "<b><p><{0}></b>",
}
OTHERS = {
    "picture of images": "<picture><img src=a>",
    "one picture, all images": ("<picture><source srcset='a 1w'>", "<img src=a>"),
    "one picture, all sources": ("<picture>", "<source srcset='a 1w'><img>"),
    "one picture, sources of data": ("<picture>", "<source srcset='data:'><img>"),
    "figures without captions": "<figure><img src=a>",
    "figures with captions": "<figure><img src=a><figcaption>c",
    "one caption, all images": ("<figure><figcaption>" + "c " * 1000 + "</figcaption>", "<img src=a>"),
    "long base": ("<base href='http://a.org/" + "b" * 100_000 + "/'>", "<img src=a>"),
    "attributes of one tag": ("<img ", "{number}=1 "),
    "srcset of one tag": ("<img srcset='", "a{number} 1w, "),
    "srcset without blanks": ("<img srcset='", "a,"),
    "marks on one letter": ("<img src=a alt='a", "\u0301\u0323"),
    "host of many letters": ("<img src='http://", "\u4e00"),
    "entities": "&amp;",
    "numeric entities": "&#x41;",
    "open comments": "<!--",
    "comments": "<!-- -->",
    "less-than signs": "<",
    "open declarations": "<!",
    "open instructions": "<?",
    "CDATA": "<svg><![CDATA[",
    "adoption": "<a><b><div></a>",
    "paragraphs in emphasis": "<b></p>",
    "options": "<select><option>",
    "forms": "<form><input>",
    "templates": "<template><tr>",
    "foreign content": "<svg><desc><math><mi>",
}
MARKDOWN = ("*", "_", "[", "![", "![a](b)", "> ", "- ", "`", "a|b\n-|-\n", "  - a\n", "**a_", "[a][", "<", "<a>", "#")
SHOWN = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    size = int(options.megabytes * (1 << 20))
    with multiprocessing.get_context("fork").Pool(options.at_once) as pool:
        whole, small = (pool.map(partial(measured, size=each), KINDS, chunksize=1) for each in (size, SMALL))
    for rows in (whole, small):
        rows.sort(key=lambda row: -row["CPU s"])
    show(f"{len(whole)} pages of {options.megabytes:g} MB", whole[:SHOWN])
    show(f"The same at {SMALL:,} bytes, without helper process", small[:5])
    slow = [row for row in whole if row["CPU s"] >= 2 and not row["problem"]]
    print(f"{len(slow)} pages of 2 CPU seconds or more that are no problem line")
    print(f"Wrote {write('hostile_pages', whole, bytes=size, small=small[:SHOWN], limits=PageSettings().model_dump())}")


def all_kinds() -> Iterator[tuple[str, str | tuple[str, str]]]:
    """Name -> what is repeated, or what stands first and what is repeated then."""
    for element in ELEMENTS:
        for name, shape in SHAPES.items():
            yield f"<{element}> {name}", shape.format(element)
    for one, other in zip(FORMATTING, FORMATTING[1:] + FORMATTING[:1], strict=True):
        yield f"<{one}> and <{other}> crossing", f"<{one}><p><{other}></{one}>"
    yield from OTHERS.items()
    for repeated in MARKDOWN:
        yield f"Markdown {repeated!r}", repeated


def page_of(kind: str | tuple[str, str], size: int) -> bytes:
    first, repeated = ("", kind) if isinstance(kind, str) else kind
    if "{number}" in repeated:
        text = first + "".join(repeated.format(number=f"x{number}") for number in range(size // len(repeated)))
    else:
        text = first + repeated * (size // len(repeated.encode()) + 1)
    return text.encode()[:size]


def measured(name: str, size: int) -> dict[str, Any]:
    page = page_of(KINDS[name], size)
    form = Form.MARKDOWN if name.startswith("Markdown") else Form.HTML
    tags_of_page(b"<b>" * SMALL, "", None, Form.HTML, PageSettings())  # so that the helper runs already
    began, before = time.perf_counter(), cpu_seconds()
    found = tags_of_page(page, "https://example.org/", "utf-8", form, PageSettings(text_from="alt,figcaption"))
    return {
        "page": name,
        "CPU s": round(cpu_seconds() - before, 3),
        "wall s": round(time.perf_counter() - began, 3),
        "images": 0 if isinstance(found, Problem) else len(found),
        "problem": found.reason if isinstance(found, Problem) else "",
    }


def cpu_seconds() -> float:
    """Of this process, its helper, and the helpers before that."""
    ended = sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))
    helper = helper_process()
    if helper is None:
        return ended
    fields = Path(f"/proc/{helper}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return ended + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


KINDS = dict(all_kinds())


if __name__ == "__main__":
    main()
