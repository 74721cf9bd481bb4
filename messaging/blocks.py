"""Blocks and layouts: words that templates share, put in place before anything reads, judges or freezes a draft.

`{{ blocks.footer }}` stands for the block of that key, `{{ content }}` in a layout for the template's own words. Both
are put in as source, once, in the form of the part: MJML into MJML, HTML into HTML, text into everything else. Each
line remembers where it was written, so that what is wrong with a block is told of the block.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from messaging.locales import choose
from messaging.models import Block, Template, TemplateVersion
from messaging.render.cell.limits import COMPILED

DEPTH = 3  # a block in a block in a layout
PIECE = 16  # what a piece counts beside its length, so that empty ones end too
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")  # what a template can say after "blocks."
CONTENT = re.compile(r"\{\{-?\s*content\s*-?\}\}")
REFERENCE = re.compile(r"\{\{-?\s*blocks\.([a-z][a-z0-9_]*)\s*-?\}\}")
FORMS = ("mjml", "html", "text")
Origin = tuple[str, int]  # the block's key, "" for the template itself, and the line there


@dataclass
class Expanded:
    """A source with its blocks in place: where each line was written, and what is wrong as (where it was written,
    message)."""

    text: str
    origins: list[Origin]
    faults: list[tuple[Origin, str]] = field(default_factory=list)

    def origin(self, line: int) -> Origin:
        """Where a line of the text was written."""
        return self.origins[line - 1] if 0 < line <= len(self.origins) else ("", line)


class Library:
    """The blocks that a draft may use, read by one statement."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = {block.key: block for block in blocks}
        self.used: set[str] = set()
        self.fallbacks: set[tuple[str, str, str]] = set()  # block, locale wished, locale taken

    @classmethod
    def of(cls, template: Template) -> Library:
        """What this draft needs, and nothing for a draft that needs none."""
        return cls(Block.objects.all() if template.layout_id or mentioned(template.content) else ())

    def digests(self) -> dict[str, str]:
        """The content hash of each block that was put in place, by key."""
        return {key: digest_of_block(self._blocks[key].content) for key in sorted(self.used)}

    def expand(self, source: str, *, part: str, locale: str, layout: Block | None = None) -> Expanded:
        """The source of one part with its layout and blocks in place."""
        form = part if part in FORMS else "text"
        faults: list[tuple[Origin, str]] = []
        pieces: Iterable[tuple[str, Origin]] = [(source, ("", 1))]
        if layout is not None and part in ("mjml", "html"):
            frame = self._source(layout, form, locale)
            if frame is None or not CONTENT.search(frame):
                said = {"key": layout.key, "form": form.upper()}
                faults.append((("", 1), _("the layout '%(key)s' has no %(form)s with {{ content }}") % said))
            else:
                pieces = _framed(frame, layout.key, source)
        done = list(self._pieces(pieces, form, locale, faults, ()))
        text = "".join(text for text, _origin in done)
        return Expanded(text, _lines(done), faults)

    def _pieces(
        self, pieces: Iterable[tuple[str, Origin]], form: str, locale: str, faults: list[tuple[Origin, str]],
        above: tuple[str, ...],
    ) -> Iterator[tuple[str, Origin]]:  # fmt: skip
        """The pieces with blocks put in; what cannot be put in is a fault at the line of the template."""
        room = COMPILED
        for text, (key, first) in pieces:
            at = 0
            for found in REFERENCE.finditer(text):
                before = text[at : found.start()]
                yield before, (key, first + text.count("\n", 0, at))
                line, at = first + text.count("\n", 0, found.start()), found.end()
                block, wrong = self._find(found[1], form, locale, above)
                if block is None:
                    faults.append(((key, line), wrong))
                    continue
                inner = self._pieces([(block, (found[1], 1))], form, locale, faults, (*above, found[1]))
                for piece, origin in inner:
                    room -= len(piece) + PIECE
                    if room < 0:
                        faults.append(
                            ((key, line), _("with its blocks it is longer than %(n)s KiB") % {"n": COMPILED // 1024})
                        )
                        return
                    yield piece, origin
            yield text[at:], (key, first + text.count("\n", 0, at))

    def _find(self, key: str, form: str, locale: str, above: tuple[str, ...]) -> tuple[str | None, str]:
        """The source of a block, or why there is none."""
        block = self._blocks.get(key)
        if block is None or block.kind != Block.Kind.BLOCK:
            return None, _("there is no block '%(key)s'") % {"key": key}
        if key in above or len(above) >= DEPTH:
            return None, _("the block '%(key)s' holds itself, or too many in one another") % {"key": key}
        source = self._source(block, form, locale)
        if source is None:
            return None, _("the block '%(key)s' has no %(form)s") % {"key": key, "form": form.upper()}
        return source, ""

    def _source(self, block: Block, form: str, locale: str) -> str | None:
        forms = {one: parts[form] for one, parts in block.content.items() if parts.get(form, "").strip()}
        chosen = choose(forms, locale)
        if chosen is None:
            return None
        self.used.add(block.key)
        if chosen.lower() != locale.lower():
            self.fallbacks.add((block.key, locale, chosen))
        return str(forms[chosen])


def _framed(frame: str, key: str, source: str) -> Iterator[tuple[str, Origin]]:
    """A layout around a source; where it says {{ content }} twice, the source stands twice."""
    at = 0
    for found in CONTENT.finditer(frame):
        yield frame[at : found.start()], (key, 1 + frame.count("\n", 0, at))
        yield source, ("", 1)
        at = found.end()
    yield frame[at:], (key, 1 + frame.count("\n", 0, at))


def _lines(pieces: Iterable[tuple[str, Origin]]) -> list[Origin]:
    """The origin of each line: of what stands first on it, unless that is blank."""
    found: list[Origin] = []
    fresh = True
    for text, (key, first) in pieces:
        for number, line in enumerate(text.split("\n")):
            if number or not found:
                found.append((key, first + number))
                fresh = not line.strip()
            elif fresh and line.strip():
                found[-1] = (key, first)
                fresh = False
    return found


def mentioned(content: Any) -> set[str]:
    """The keys of blocks that some content names."""
    texts = [
        text
        for parts in (content.values() if isinstance(content, Mapping) else ())
        if isinstance(parts, Mapping)
        for text in parts.values()
        if isinstance(text, str)
    ]
    return {key for text in texts for key in REFERENCE.findall(text)}


def digest_of_block(content: Mapping[str, Any]) -> str:
    """The content hash of a block, as versions keep it."""
    said = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class UsedBy:
    """A template that stands on a block: in its draft, in its latest version, and whether that version holds other
    words than the block has now."""

    template: Template
    in_draft: bool
    version: int
    stale: bool


def used_by(block: Block, content: Mapping[str, Any] | None = None) -> list[UsedBy]:
    """Every living template that uses a block or layout, directly or through another block; `content` in place of what
    the block says now. Three statements."""
    now = digest_of_block(block.content if content is None else content)
    holders, latest = _holders(block.key), _latest()
    found = []
    for template in Template.objects.filter(archived=False).select_related("layout").order_by("key"):
        names = mentioned(template.content) | ({template.layout.key} if template.layout else set())
        number, blocks = latest.get(template.pk, (0, {}))
        frozen = blocks.get(block.key, "")
        if names & holders or frozen:
            found.append(UsedBy(template, bool(names & holders), number if frozen else 0, frozen not in ("", now)))
    return found


def _latest() -> dict[int, tuple[int, dict[str, str]]]:
    """The number of each template's latest version, and the blocks in it."""
    rows = TemplateVersion.objects.filter(template__archived=False).order_by("template", "number")
    return {template: (number, blocks) for template, number, blocks in rows.values_list("template", "number", "blocks")}


def _holders(key: str) -> set[str]:
    """The key itself, and the keys of blocks and layouts that hold it, however deep."""
    inside = {block.key: mentioned(block.content) for block in Block.objects.all()}
    found = {key}
    for _step in range(DEPTH + 1):
        found |= {holder for holder, names in inside.items() if names & found}
    return found
