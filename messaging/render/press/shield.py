"""Keeping Jinja out of the way of HTML tools: each tag becomes a mark that every parser leaves where it is.

An HTML parser moves text out of tables, percent-encodes braces and trips over "<" in an expression. So
`{{ … }}` and `{% … %}` are replaced by a comment where a comment may stand (between elements, where nothing is
moved) and by a plain word elsewhere (in attributes, titles, style sheets and comments), and put back at the end.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jinja2 import TemplateSyntaxError

from messaging.render.cell.environment import Cell
from messaging.render.cell.limits import Refused

_WORD = re.compile(r'<!--pjx(\d{4})xjp-->|pjx(\d{4})xjp(?:="")?')
_COMMENT = re.compile(r"<!--(pjx\d{4}xjp)-->")
_RAW = ("style", "script", "title", "textarea", "mj-title", "mj-preview", "mj-style")
_CLOSING = {"variable_begin": "variable_end", "block_begin": "block_end", "comment_begin": "comment_end"}
_FIELD = re.compile(r"\{\{-?\s*preheader\s*-?\}\}")


@dataclass
class Shielded:
    """Text with marks, and what each mark stands for."""

    text: str
    tags: list[str] = field(default_factory=list)

    def restore(self, text: str) -> str:
        """Put every tag back."""
        return _WORD.sub(lambda found: self.tags[int(found[1] or found[2])], text)

    def tags_in(self, text: str) -> list[str]:
        """The tags whose marks stand in a piece of text."""
        return [self.tags[int(found[1] or found[2])] for found in _WORD.finditer(text)]


def shield(source: str, *, markup: bool) -> Shielded:
    """Replace every tag by its mark; `markup` False for plain text, where all marks are words.

    Raises Refused for what cannot be shielded (raw blocks, too many tags) and TemplateSyntaxError.
    """
    shielded, state, pieces = Shielded(""), _State(), []
    for is_tag, text in chunks(source):
        if not is_tag:
            pieces.append(text)
            if markup:
                state.feed(text)
            continue
        if len(shielded.tags) > 9999:
            raise Refused("more than 10000 tags")
        word = f"pjx{len(shielded.tags):04d}xjp"
        shielded.tags.append(text)
        pieces.append(f"<!--{word}-->" if markup and state.between and text.startswith("{%") else word)
    shielded.text = "".join(pieces)
    return shielded


def as_words(text: str) -> str:
    """Marks that are comments become words, for tools that drop comments."""
    return _COMMENT.sub(r"\1", text)


def has_marks(text: str) -> bool:
    return bool(_WORD.search(text))


def unmarked(text: str) -> str:
    """A text without its marks."""
    return _WORD.sub("", text)


def chunks(source: str) -> Iterator[tuple[bool, str]]:
    """The source as (is a Jinja tag, text), by Jinja's own lexer; its comments are left out."""
    if "pjx" in source and _WORD.search(source):
        raise Refused("holds a word that publishing uses itself")
    end, inside = "", []
    for _, kind, value in Cell.of(html=False).lex(source):
        if kind == "raw_begin":
            raise Refused("a raw block is not allowed")
        if end:
            inside.append(value)
            if kind == end:
                text = "".join(inside)
                if not text.startswith("{#"):
                    yield True, text
                end, inside = "", []
        elif kind in _CLOSING:
            end, inside = _CLOSING[kind], [value]
        elif kind == "data":
            yield False, value
    if end:
        raise TemplateSyntaxError("a tag is not closed", 1)


def with_preheader(source: str, preheader: str) -> tuple[str, bool]:
    """`{{ preheader }}` replaced by that part, as HTML; and whether it was there."""
    text = "".join(text if is_tag else html.escape(text, quote=False) for is_tag, text in chunks(preheader))
    changed = _FIELD.sub(lambda _: text, source)
    return changed, changed != source or bool(_FIELD.search(source))


class _State:
    """Where in HTML a text ends: between elements, in a tag, in an attribute's quotes, in a comment, or in an
    element whose content is not parsed."""

    _NEXT = re.compile(r"<!--|<(/?)([a-zA-Z][\w:-]*)")
    _IN_TAG = re.compile(r"[\"'>]")

    def __init__(self) -> None:
        self.between = True
        self._until = ""  # what ends the state we are in, when not between
        self._tag = ""  # the element whose tag we are in

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            at = self._open(text, at) if self.between else self._close(text, at)

    def _open(self, text: str, at: int) -> int:
        found = self._NEXT.search(text, at)
        if found is None:
            return len(text)
        self.between = False
        if found[0] == "<!--":
            self._until = "-->"
        else:
            self._until, self._tag = ">", "" if found[1] else found[2].lower()
        return found.end()

    def _close(self, text: str, at: int) -> int:
        if self._until == ">":
            found = self._IN_TAG.search(text, at)
            if found is None:
                return len(text)
            if found[0] == ">":
                self._leave_tag()
            else:
                self._until = found[0]
            return found.end()
        where = text.lower().find(self._until, at)
        if where == -1:
            return len(text)
        end = where + len(self._until)
        if self._until in ("'", '"'):
            self._until = ">"
        elif self._until.startswith("</"):
            self._until, self._tag = ">", ""
        else:
            self.between = True
        return end

    def _leave_tag(self) -> None:
        if self._tag in _RAW:
            self._until = f"</{self._tag}"
        else:
            self.between = True
