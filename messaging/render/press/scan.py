"""Reading a source for whoever judges it: links, images and words, each with the line on which its author finds it.

The tools that make the message lose the lines, so this is a second, plain reading (html.parser) of the source itself,
MJML included, in which each Jinja tag is a mark that keeps its line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

from messaging.places import Image, Link, Seen, fault_of

MOST = 2000  # links, images or lines of words that are told of one source
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_MARK = re.compile(r"\ue000(\d+)\ue001\n*")
_OWN = re.compile(r"\blinks\s*\.\s*(unsubscribe|preferences|view)\b|\bbrand\s*\.\s*url\b")
_URL = re.compile(r"https?://[^\s<>\"'()\[\]{}]+", re.IGNORECASE)
_IMAGES = frozenset({"img", "mj-image", "mj-carousel-image"})
_UNSEEN = frozenset({"style", "script", "mj-style", "mj-attributes"})


class Marked:
    """A source whose Jinja tags are marks; lines stay what they were."""

    def __init__(self, source: str) -> None:
        self._tags: list[str] = []
        self.text = _TAG.sub(self._mark, source.replace("\ue000", " ").replace("\ue001", " "))

    def _mark(self, found: re.Match[str]) -> str:
        self._tags.append(found[0])
        return f"\ue000{len(self._tags) - 1}\ue001" + "\n" * found[0].count("\n")

    def tags_in(self, text: str) -> list[str]:
        """The tags whose marks stand in a piece of the text."""
        return [self._tags[int(found[1])] for found in _MARK.finditer(text)]

    def restored(self, text: str) -> str:
        """A piece of the text as its author wrote it."""
        return _MARK.sub(lambda found: self._tags[int(found[1])], text)

    def link(self, line: int, url: str) -> Link:
        """One address, judged; ours and the workspace's are always right."""
        url, tags = url.strip(), self.tags_in(url)
        if any(_OWN.search(tag) for tag in tags):
            return Link(line, self.restored(url))
        fault = fault_of(self.restored(url) if not tags else url, personal=bool(tags), open_start=url[:1] == "\ue000")
        return Link(line, self.restored(url), self.restored(fault))


def scan(source: str, *, html: bool) -> Seen:
    """What stands in one source."""
    marked = Marked(source)
    if not html:
        return _plain(marked)
    reader = _Reader(marked)
    reader.feed(marked.text)
    reader.close()
    return Seen(tuple(reader.links[:MOST]), tuple(reader.images[:MOST]), tuple(reader.words[:MOST]))


def _plain(marked: Marked) -> Seen:
    links, words = [], []
    for number, line in enumerate(marked.text.splitlines(), 1):
        links += [marked.link(number, found[0].rstrip(".,;:!?。，；：！？")) for found in _URL.finditer(line)]
        words.append((number, _MARK.sub(" ", line)))
    return Seen(tuple(links[:MOST]), (), tuple(words[:MOST]))


class _Reader(HTMLParser):
    """Collects from the start tags and the text between them."""

    def __init__(self, marked: Marked) -> None:
        super().__init__(convert_charrefs=True)
        self._marked, self._unseen = marked, ""
        self.links: list[Link] = []
        self.images: list[Image] = []
        self.words: list[tuple[int, str]] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        line, given = self.getpos()[0], dict(attrs)
        if tag in _UNSEEN:
            self._unseen = tag
        if given.get("href") is not None and (tag == "a" or tag.startswith("mj-")) and tag != "mj-all":
            self.links.append(self._marked.link(line, given["href"] or ""))
        if tag in _IMAGES:
            alt = given.get("alt", "") if "alt" in given else None
            self.images.append(Image(line, self._marked.restored(given.get("src") or ""), alt))
        self.words += [(line, _MARK.sub(" ", given[name] or "")) for name in ("alt", "title") if given.get(name)]

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = ""

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        first = self.getpos()[0]
        for number, line in enumerate(data.split("\n")):
            text = _MARK.sub(" ", line).strip()
            if text:
                self.words.append((first + number, text))
