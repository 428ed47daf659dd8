"""An inspection as one HTML page that needs no other file."""

import base64
import re
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from openalign.data.announce import is_much
from openalign.inspection.inspection import Inspection
from openalign.inspection.words import facts, headline, losses, remarks


def render_page(found: Inspection) -> str:
    """The page as a string; pictures are small JPEGs within it."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("openalign.inspection").joinpath("page.html").read_text(encoding="utf-8"))
    examples = [
        {
            "name": each.name,
            "text": each.text if each.text is not None else each.label,
            "picture": each.thumbnail and "data:image/jpeg;base64," + base64.b64encode(each.thumbnail).decode(),
        }
        for each in found.examples
    ]
    lost = [(kind, number, first, is_much(kind, number, found.rows or 0)) for kind, number, first in losses(found)]
    told = {
        "headline": headline(found),
        "facts": list(facts(found)),
        "lost": lost,
        "remarks": list(map(_with_code, remarks(found))),
    }
    return template.render(found=found, examples=examples, **told)


def _with_code(words: str) -> Markup:
    """Words as HTML, in which `this` is code."""
    return Markup(re.sub(r"`([^`<]+)`", r"<code>\1</code>", str(escape(words))))
