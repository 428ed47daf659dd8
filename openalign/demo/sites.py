"""The sites of the miniature web, under reserved domain names, and how each writes its HTML."""

import html
import html.entities
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

PLACEHOLDER = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""The 1 x 1 px GIF that lazy-loading pages put into `src`."""


@dataclass(frozen=True)
class Site:
    """One host and how it writes its pages.

    `charset` is their encoding, `declared` where it is declared ("header", "meta", "bom", or "nowhere"); `url_style`
    the form of the URLs of their own images ("relative", "root", "absolute", "protocol", or "base": relative to
    <base href>); `loading` the place of an image's URL ("src", "srcset", "picture", or a lazy-loading attribute);
    `habit` the oddity of the markup ("tidy", "upper_case", "single_quotes", "unclosed", "entities", "blanks",
    "decomposed").
    """

    host: str
    title: str
    style: str
    charset: str = "utf-8"
    declared: str = "header"
    url_style: str = "root"
    loading: str = "src"
    habit: str = "tidy"

    @property
    def content_type(self) -> str:
        """The Content-Type header of its pages."""
        return f"text/html; charset={self.charset}" if self.declared == "header" else "text/html"

    def encode(self, page: str) -> bytes:
        """The page's bytes; characters outside the charset become numeric character references."""
        mark = b"\xff\xfe" if self.declared == "bom" else b""
        return mark + page.encode(self.charset, errors="xmlcharrefreplace")


SITES: tuple[Site, ...] = (
    Site("pixelgarden.example", "Pixel Garden", "blog"),
    Site("www.toybazaar.example", "Toy Bazaar", "shop", declared="meta", url_style="relative", loading="data-src"),
    Site("gallery.littlethings.example", "Little Things", "gallery", url_style="absolute", loading="srcset"),
    Site("news.harbourpost.example", "Harbour Post", "news", "iso-8859-1", loading="picture"),
    Site("wiki.drawn.example", "Drawn Wiki", "wiki", url_style="protocol", loading="srcset"),
    Site("forum.stickerclub.example", "Sticker Club", "forum", "windows-1252", "meta", "relative", habit="unclosed"),
    Site("blog.anna-reist.example", "Anna reist", "blog", "iso-8859-1", "meta", habit="entities"),
    Site("shop.papier.example", "Papier & Co", "shop", url_style="base", habit="entities"),
    Site("fotos.praia.example", "Fotos da Praia", "gallery", declared="nowhere", loading="data-original"),
    Site("noticias.plaza.example", "Noticias Plaza", "news", "windows-1252", url_style="absolute"),
    Site("encyclo.monde.example", "Encyclo Monde", "wiki", declared="meta", habit="decomposed"),
    Site("board.weekend.example", "Weekend Board", "forum", habit="upper_case"),
    Site("meadow.example", "Meadow Notes", "blog", "utf-16-le", "bom", "relative"),
    Site("www.crates.example", "Crates", "shop", url_style="protocol", loading="data-lazy-src"),
    Site("wall.snapshots.example", "Snapshots", "gallery", declared="meta", url_style="base", loading="picture"),
    Site("daily.example", "The Daily Example", "news", habit="blanks"),
    Site("knowledge.example", "Knowledge", "wiki", url_style="relative", habit="single_quotes"),
    Site("talk.makers.example", "Makers Talk", "forum", declared="nowhere", loading="srcset"),
    Site("snow-and-sand.example", "Snow & Sand", "blog", url_style="absolute", loading="data-src"),
    Site("www.thingstore.example", "Thing Store", "shop", loading="srcset", habit="blanks"),
)

_AROUND = {
    "blog": "<article><h2>{words}</h2>\n<figure>{image}</figure>\n<p>{words}.</p></article>",
    "shop": '<li class="product">{image}<h3>{words}</h3><b>&euro; {number}.90</b></li>',
    "gallery": '<div class="cell"><a href="/view/{number}">{image}</a></div>',
    "news": "<section><h3>{words}</h3><p>{words}. {image} {words}.</p></section>",
    "wiki": '<table class="infobox"><tr><td>{image}</td></tr><tr><th>{words}</th></tr></table>\n<p>{words}.</p>',
    "forum": '<div class="post"><b>guest{number}</b> wrote:<blockquote>{words}<br>{image}</blockquote></div>',
}
_UNCLOSED = {"</p>": "", "</li>": "", "</td>": "", "</tr>": "", "</b>": "</i>"}


def page_html(
    site: Site, url: str, language: str, images: Sequence[tuple[str, str | None]], words: Sequence[str]
) -> str:
    """The page at `url` with an <img> for each (absolute URL, alt text or None), and `words` between them."""
    title = f"{html.escape(site.title)} - {words[0]}"
    meta = f'<meta charset="{site.charset}">' if site.declared == "meta" else ""
    base = f'<base href="https://{site.host}/media/">' if site.url_style == "base" else ""
    head = f"<head>{meta}<title>{title}</title>{base}</head>"
    parts = [f'<!DOCTYPE html>\n<html lang="{language}">{head}\n<body class="{site.style}">']
    for number, (image_url, text) in enumerate(images):
        if number == 0:  # the site's logo
            parts.append(
                f'<header><a href="/">{_plain_tag(image_url, text)}</a> <nav><a href="/about">About</a></nav></header>'
            )
            continue
        around = _AROUND[site.style].replace("{words}", words[number % len(words)]).replace("{number}", str(number))
        parts.append(around.replace("{image}", image_tag(site, url, image_url, text)))
    parts.append("<footer>&copy; 2024</footer></body></html>\n")
    page = "\n".join(parts)
    if site.habit == "unclosed":
        for closed, left in _UNCLOSED.items():
            page = page.replace(closed, left)
    return page


def image_tag(site: Site, page: str, url: str, text: str | None) -> str:
    """The <img> for an absolute URL as this site writes it on the page at `page`."""
    src = _reference(site, page, url)
    stem, _, extension = src.rpartition(".")
    alt = _alt(site, text)
    if site.habit == "upper_case":
        return f'<IMG SRC="{src}"{alt.replace("alt=", "ALT=")} BORDER=0>'
    if site.habit == "single_quotes":
        return f"<img{alt} src={src} class='photo' >"
    if site.loading == "srcset":
        return f'<img src="{src}" srcset="{stem}-160.{extension} 160w, {src} 640w" sizes="50vw"{alt}>'
    if site.loading == "picture":
        source = f'<source media="(min-width: 900px)" srcset="{src} 2x">'
        return f'<picture>{source}<img src="{src}"{alt} loading="lazy"></picture>'
    if site.loading.startswith("data-"):
        return f'<img class="lazy" src="{PLACEHOLDER}" {site.loading}="{src}"{alt}>'
    return f'<img src="{src}"{alt}>'


def _plain_tag(url: str, text: str | None) -> str:
    return f'<img src="{url}" alt="{html.escape(text or "")}">'


def _reference(site: Site, page: str, url: str) -> str:
    """`url` as this site writes it; images of other hosts keep the absolute URL."""
    parts = urlsplit(url)
    if site.url_style == "protocol":
        return url.removeprefix("https:")
    if parts.netloc != site.host or site.url_style == "absolute":
        return url
    if site.url_style == "root":
        return parts.path
    start = "/media" if site.url_style == "base" else posixpath.dirname(urlsplit(page).path)
    return posixpath.relpath(parts.path, start)


def _alt(site: Site, text: str | None) -> str:
    """The alt attribute with a leading space; empty if there is no text."""
    if text is None:
        return ""
    if site.habit == "blanks":
        text = "\n   " + text.replace(" ", "  ", 2).replace(" a ", "\u00a0a\t") + " "
    if site.habit == "decomposed":
        text = unicodedata.normalize("NFD", text)
    written = html.escape(text)
    if site.habit == "entities":
        written = "".join(_NAMED.get(character, character) for character in written)
    return f" alt='{written}'" if site.habit == "single_quotes" else f' alt="{written}"'


_NAMED = {chr(code): f"&{name};" for code, name in html.entities.codepoint2name.items() if code > 127}
