"""From an author's HTML or MJML to the frozen source of a part: once, when a template is published.

MJML (mrml, without web fonts), CSS into style attributes (css-inline, nothing fetched), links and their places
(selectolax), the text part (inscriptis). Nothing here touches the network or knows a recipient.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import css_inline
import mrml
from inscriptis import get_text
from inscriptis.model.config import ParserConfig
from jinja2 import TemplateSyntaxError
from selectolax.lexbor import LexborHTMLParser

from messaging.places import INNER, PLACE, Place, fault_of, is_web
from messaging.render.cell.limits import Refused
from messaging.render.press.contract import Kind, Page
from messaging.render.press.shield import Shielded, as_words, has_marks, shield, unmarked, with_preheader

_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)
_TEXT = ParserConfig(display_links=True)
_SPOT = re.compile(r"pjl(\d{4})ljp")
_IN_TEXT = re.compile(r"https?://[^\s<>\"'()\[\]{}]+", re.IGNORECASE)
PLAIN = ("text", "url")  # parts without markup whose addresses are links; `url` is where a tap on a push leads
_OWN = re.compile(r"\blinks\s*\.\s*(unsubscribe|preferences|view)\b")
_BRAND = re.compile(r"\{\{-?\s*brand\.url\s*-?\}\}")
_ROW = re.compile(r"<(/?)(?:table|tbody|thead|tfoot|tr)\b[^>]*>", re.IGNORECASE)
_CELL = re.compile(r"<(/?)(?:td|th)\b[^>]*>", re.IGNORECASE)
_LAST = re.compile(r"<!--pjx\d{4}xjp-->")
MARK = 17  # characters of a mark between elements
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_HIDDEN = (
    '<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;'
    'mso-hide:all">{}</div>'
)
PIXEL = f'<img src="{PLACE}o{PLACE}" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px" />'


def build(sources: Mapping[str, str], kind: Kind) -> Page:
    """Work one locale's sources into frozen parts. What is wrong with any of them is in `faults` as (part, message),
    for every part: one that cannot be read does not hide what is wrong with the others."""
    page, preheader = Page(), ""
    with _noting(page, "preheader"):
        preheader = shield_only(sources.get("preheader", ""))
    for name, source in sources.items():
        if name in ("preheader", *PLAIN):
            continue
        with _noting(page, name):
            if name == "mjml" or name in kind.html:
                _markup(page, name, source, preheader, kind)
            else:
                page.parts[name] = shield_only(source)
    for name in PLAIN:
        if sources.get(name):
            with _noting(page, name):
                page.parts[name] = _plain(page, name, sources[name], kind)
    return page


@contextmanager
def _noting(page: Page, part: str) -> Iterator[None]:
    """A part that cannot be read at all is a fault of the page."""
    try:
        yield
    except (Refused, TemplateSyntaxError, ValueError) as error:
        page.faults.append((part, str(error)))


def shield_only(source: str) -> str:
    """A plain part without its Jinja comments, refused where Jinja's own lexer refuses it."""
    shielded = shield(source, markup=False)
    return shielded.restore(shielded.text)


def _markup(page: Page, name: str, source: str, preheader: str, kind: Kind) -> None:
    """One HTML part, and the text part made from it if none is written."""
    part = name  # as its author knows it
    source, shown = with_preheader(source, preheader)
    own_tables = "<tbody" not in source.lower()
    shielded = shield(source, markup=True)
    whole, text = name == "mjml", shielded.text
    if name == "mjml":
        name, text = "html", _from_mjml(text, kind.locale)
    whole = whole or "<html" in text.lower()
    text = text if whole else f"<html><body>{text}</body></html>"
    page.faults += [(part, message) for message in _dangers(LexborHTMLParser(text))]
    tree = LexborHTMLParser(_INLINER.inline(text) if whole else text)
    _take_links(page, part, tree, shielded, kind)
    done = _settled(tree.html or "", own_tables)
    if whole and "text" not in page.parts and name == "html":
        page.parts["text"] = _restored(page, shielded, _text_of(done, shielded), html=False)
    if not whole:
        done = done.partition("<body>")[2].rpartition("</body>")[0]
    done = _restored(page, shielded, done, html=True)
    if preheader and not shown and whole:
        hidden = _HIDDEN.format(with_preheader("{{ preheader }}", preheader)[0])
        done = _BODY.sub(lambda found: found[0] + hidden, done, count=1)
    if kind.opens and name == "html" and "</body>" in done:
        before, _, after = done.rpartition("</body>")
        done = f"{before}{PIXEL}</body>{after}"
    page.parts[name] = done


def _from_mjml(text: str, locale: str) -> str:
    """HTML from MJML. Raises ValueError with mrml's words."""
    language = locale.replace("_", "-")
    text = re.sub(r"<mjml(?=[\s>])(?![^>]*\blang=)", f'<mjml lang="{language}"', text, count=1)
    try:
        return str(mrml.to_html(text, render_options=mrml.RenderOptions(fonts={})).content)
    except OSError as error:  # what mrml raises for everything
        raise ValueError(str(error)) from None


def _settled(text: str, own_tables: bool) -> str:
    """A loop over rows stays around the rows: parsers put the first mark before the <tbody> they add."""
    if not own_tables or "<tbody>" not in text:
        return text
    *pieces, last = text.split("<tbody>")
    return "".join(f"{before}<tbody>{marks}" for before, marks in map(_trailing_marks, pieces)) + last


def _trailing_marks(text: str) -> tuple[str, str]:
    """A text without the marks at its end, and those marks; looked for from the end, so that many cost no more."""
    at = len(text)
    while True:
        end = len(text[:at].rstrip()) if text[at - 1 : at].isspace() else at
        if not _LAST.fullmatch(text, max(end - MARK, 0), end):
            return text[:at], text[at:]
        at = end - MARK


def _dangers(tree: LexborHTMLParser) -> list[str]:
    """What no mail program runs and no reader wants: scripts, frames, forms, handlers, foreign style sheets."""
    found = [
        f"<{name}> is not allowed"
        for name in ("script", "iframe", "object", "embed", "form", "base")
        if tree.css_first(name) is not None
    ]
    if tree.css_first('link[rel="stylesheet"]') is not None:
        found.append("style sheets from elsewhere are not fetched: write them into <style>")
    handlers = {name for node in tree.css("*") for name in node.attributes if name.startswith("on")}
    return found + [f"the attribute {name} is not allowed" for name in sorted(handlers)]


def _take_links(page: Page, part: str, tree: LexborHTMLParser, shielded: Shielded, kind: Kind) -> None:
    """Give every link its place, and take our own attributes out."""
    for node in tree.css("a[href]"):
        attributes = dict(node.attributes)
        for name in ("data-utm", "data-track", "data-alias"):
            if name in attributes:
                del node.attrs[name]
        href = (attributes.get("href") or "").strip()
        place, fault = _place(href, attributes, shielded, kind)
        if fault:
            page.faults.append((part, fault))
        if place is not None:
            node.attrs["href"] = _spot(page, place)


def _place(href: str, attributes: Mapping[str, str | None], shielded: Shielded, kind: Kind) -> tuple[Place | None, str]:
    """What becomes of one href: a place, or nothing because it stays as it is; and what is wrong with it."""
    tags = shielded.tags_in(href)
    if any(_OWN.search(tag) for tag in tags):
        return None, ""
    if tags and all(_BRAND.fullmatch(tag) for tag in tags):
        href, tags = _BRAND.sub(lambda _: kind.brand_url, shielded.restore(href)), []
    fault = fault_of(href, personal=bool(tags), open_start=has_marks(href[:11]))
    if fault:
        return None, fault
    if not tags and not is_web(href):
        return None, ""
    tagged, tracked = attributes.get("data-utm") != "off", attributes.get("data-track") != "off"
    if not tagged and not tracked and not tags:
        return None, ""
    alias = (attributes.get("data-alias") or "")[:80]
    return Place(href, "" if has_marks(alias) else alias, tagged, tracked, bool(tags)), ""


def _spot(page: Page, place: Place) -> str:
    if len(page.links) > 999:
        page.faults.append(("html", "more than 1000 links"))
        return ""
    page.links.append(place)
    return f"pjl{len(page.links) - 1:04d}ljp"


def _text_of(html: str, shielded: Shielded) -> str:
    """The text part of a finished page: blocks and rows as lines, links as [text](address).

    A line that holds only logic ({% for %}) gives up its line break, so that what it repeats keeps its own.
    """
    flat = _CELL.sub(lambda found: "</span> " if found[1] else "<span>", _ROW.sub(r"<\1div>", as_words(html)))
    lines = [" ".join(line.split()) for line in get_text(flat, _TEXT).splitlines()]
    said = [line + ("" if _is_logic(line, shielded) else "\n") for line in lines]
    return re.sub(r"\n{3,}", "\n\n", "".join(said)).strip() + "\n"


def _is_logic(line: str, shielded: Shielded) -> bool:
    tags = shielded.tags_in(line)
    return bool(tags) and not unmarked(line).strip() and all(tag.startswith("{%") for tag in tags)


def _plain(page: Page, part: str, source: str, kind: Kind) -> str:
    """A plain part as its author wrote it; addresses in it become places too."""
    shielded = shield(source, markup=False)

    def spot(found: re.Match[str]) -> str:
        url = found[0].rstrip(".,;:!?。，；：！？")
        place, fault = _place(url, {}, shielded, kind)
        if fault:
            page.faults.append((part, fault))
        return (_spot(page, place) if place else url) + found[0][len(url) :]

    return _restored(page, shielded, _IN_TEXT.sub(spot, shielded.text), html=False)


def _restored(page: Page, shielded: Shielded, text: str, *, html: bool) -> str:
    """Spots become places, marks become Jinja again."""

    def place(found: re.Match[str]) -> str:
        number = int(found[1])
        link = page.links[number]
        if not link.personal:
            return f"{PLACE}l{number}{PLACE}"
        return f"{PLACE}d{number}{INNER}{entities.escape(link.url) if html else link.url}{PLACE}"

    return shielded.restore(_SPOT.sub(place, text))
