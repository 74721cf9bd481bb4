"""Why a person is, or is not, in a segment: every question with its answer, asked by the same compiler."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from django.db.models import BooleanField, Case, Value, When

from common.semijoin import among
from common.text import say
from segments.rules.compile import condition, living
from segments.rules.operators import At
from segments.rules.tree import All, AnyOf, Leaf, Not, Rule, leaves


@dataclass(frozen=True)
class Reason:
    """One node of the rule for one person: `kind` is all, any, not or an operator's key; `holds` the answer."""

    kind: str
    holds: bool
    sentence: str
    parts: tuple[Reason, ...] = ()

    def walk(self) -> Iterator[Reason]:
        """This node and all below it, top down."""
        yield self
        for part in self.parts:
            yield from part.walk()


def explain(rule: Rule, profile_id: int, at: At, language: str) -> Reason | None:
    """The rule's tree for one person; None when there is no such person (any more)."""
    return explain_many(rule, [profile_id], at, language).get(profile_id)


def explain_many(rule: Rule, profile_ids: Collection[int], at: At, language: str) -> dict[int, Reason]:
    """The same for several people, in one query that answers every leaf of everyone."""
    ids = tuple(profile_ids)
    asked = list(leaves(rule))
    one_by_one = {f"leaf_{index}": _yes_or_no(leaf, replace(at, among=ids)) for index, leaf in enumerate(asked)}
    rows = living().filter(among("pk", ids)).annotate(**one_by_one).values_list("pk", *one_by_one)
    return {row[0]: _build(rule, iter(map(bool, row[1:])), language) for row in rows}


def sentence(rule: Rule, language: str) -> str:
    """The whole rule as one sentence, in English or Chinese."""
    if isinstance(rule, Leaf):
        return rule.operator.say(rule.params, language)
    if isinstance(rule, Not):
        inner = sentence(rule.part, language)
        return say(f"not ({inner})", f"不满足（{inner}）", language)
    if not rule.parts:
        return say("everyone", "所有人", language)
    parts = [_bracketed(part, language) if len(rule.parts) > 1 else sentence(part, language) for part in rule.parts]
    word = say(" or ", "，或", language) if isinstance(rule, AnyOf) else say(" and ", "，且", language)
    return word.join(parts)


def _bracketed(rule: Rule, language: str) -> str:
    inner = sentence(rule, language)
    if isinstance(rule, All | AnyOf) and len(rule.parts) > 1:
        return say(f"({inner})", f"（{inner}）", language)
    return inner


def _yes_or_no(leaf: Leaf, at: At) -> Case:
    return Case(When(condition(leaf, at), then=Value(True)), default=Value(False), output_field=BooleanField())


def _build(rule: Rule, answers: Iterator[bool], language: str) -> Reason:
    said = sentence(rule, language)
    if isinstance(rule, Leaf):
        return Reason(rule.op, next(answers), said)
    if isinstance(rule, Not):
        part = _build(rule.part, answers, language)
        return Reason("not", not part.holds, said, (part,))
    parts = tuple(_build(part, answers, language) for part in rule.parts)
    if isinstance(rule, AnyOf):
        return Reason("any", any(part.holds for part in parts), said, parts)
    return Reason("all", all(part.holds for part in parts), said, parts)
