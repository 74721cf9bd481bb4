"""Variables that nobody has, and variables that not everybody has: traits and events as the data showed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, Use, every_part, lints
from segments.models import EventProperty, Trait

COLUMNS = frozenset({
    "public_id", "email", "phone", "first_name", "last_name", "locale", "timezone", "country", "city", "gender",
    "birthday", "registered_at",
})  # fmt: skip
FIXED: Mapping[str, frozenset[str]] = {
    "coupon": frozenset({"code", "expires_at", "pool"}),
    "journey": frozenset({"key", "node", "campaign"}),
    "points": frozenset({"balance"}),
    "level": frozenset({"key", "name", "rank"}),
}


@lints.register("variables")
class Variables(Lint):
    """An error when no person, event, coupon or journey has ever had the variable and the sample data know it neither;
    a warning when some people have it and others do not, and no default stands in."""

    key: ClassVar[str] = "variables"

    def find(self, draft: Draft) -> Iterator[Finding]:
        traits = set(Trait.objects.values_list("key", flat=True))
        properties = set(EventProperty.objects.exclude(key="").values_list("key", flat=True).distinct())
        known = {**FIXED, "profile": COLUMNS | traits, "event": properties}
        for locale, name, part in every_part(draft):
            for use in dict.fromkeys(part.uses):
                said = _judge(use, known, draft)
                if said is not None:
                    severity, message = said
                    yield Finding(severity, message, locale, name, use.line)


def _judge(use: Use, known: Mapping[str, AbstractSet[str]], draft: Draft) -> tuple[Severity, str] | None:
    if use.root not in known or not use.step:
        return None
    name, sample = f"{use.root}.{use.step}", draft.sample.get(use.root)
    if use.step in known[use.root]:
        return None if use.sure or not _may_miss(use) else (Severity.WARNING, _some(name))
    if isinstance(sample, Mapping) and use.step in sample:
        return (Severity.WARNING, _nobody(name))
    return (Severity.WARNING if use.sure else Severity.ERROR, _nobody(name))


def _may_miss(use: Use) -> bool:
    """Columns of a person are there for everybody, if only as empty text; traits and events are not."""
    return use.root == "profile" and use.step not in COLUMNS


def _nobody(name: str) -> str:
    return say(f"'{name}' has never been seen in the data", f"数据中从未见过 '{name}'")


def _some(name: str) -> str:
    return say(
        f"not everybody has '{name}': without a default their message fails",
        f"并非人人都有 '{name}'：没有 default 时这些人的消息会失败",
    )
