"""Feeds that a draft shows: there must be one, switched on, with something to show while its server is silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, every_part, lints
from messaging.models.feeds import Feed

ROOT = "feeds"


@lints.register("feeds")
class Feeds(Lint):
    """An error for a feed that there is not, or named in a way that cannot be read beforehand; a warning for one that
    is off, or that has no fallback: its messages wait while the server is silent."""

    key: ClassVar[str] = "feeds"

    def find(self, draft: Draft) -> Iterator[Finding]:
        uses = [
            (locale, name, use) for locale, name, part in every_part(draft) for use in part.uses if use.root == ROOT
        ]
        if not uses:
            return
        rows = Feed.objects.values_list("key", "active", "fallback")
        known = {key: (active, fallback) for key, active, fallback in rows}
        for locale, name, use in dict.fromkeys(uses):
            said = _judge(use.step, known)
            if said is not None:
                yield Finding(said[0], said[1], locale, name, use.line)


def _judge(key: str, known: dict[str, tuple[bool, object]]) -> tuple[Severity, str] | None:
    if not key:
        text = say("say which feed: feeds.key", "请写明是哪个数据源：feeds.键")
        return Severity.ERROR, text
    if key not in known:
        return Severity.ERROR, say(f"there is no feed '{key}'", f"没有名为 '{key}' 的数据源")
    active, fallback = known[key]
    if not active:
        return Severity.WARNING, say(f"the feed '{key}' is switched off", f"数据源 '{key}' 已停用")
    if fallback is None:
        text = say(
            f"the feed '{key}' has no fallback: while its server is silent these messages wait",
            f"数据源 '{key}' 没有备用值：对方服务器无响应时，这些消息会等待",
        )
        return Severity.WARNING, text
    return None
