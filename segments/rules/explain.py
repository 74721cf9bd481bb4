"""Why a person is, or is not, in a segment: every question with its answer, asked by the same compiler."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from django.db.models import BooleanField, Case, Value, When

from common.semijoin import among
from common.text import say
from segments.rules.compile import condition, living
from segments.rules.operators import At
from segments.rules.refusal import profiles
from segments.rules.tree import All, AnyOf, Leaf, Not, Rule, leaves

REFUSED = (" (not asked: this person refuses profiling)", "（未查询：此人拒绝个性化分析）")


@dataclass(frozen=True)
class Reason:
    """One node of the rule for one person: `kind` is all, any, not or an operator's key; `holds` the answer.

    `refused`: there is none, since it would profile a person who refuses that; it does not hold, nor does its opposite.
    """

    kind: str
    holds: bool
    sentence: str
    parts: tuple[Reason, ...] = ()
    refused: bool = False

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
    profiling = [profiles(leaf) for leaf in asked]
    one_by_one = {f"leaf_{index}": _yes_or_no(leaf, replace(at, among=ids)) for index, leaf in enumerate(asked)}
    rows = living().filter(among("pk", ids)).annotate(**one_by_one).values_list("pk", "no_profiling", *one_by_one)
    return {
        pk: _build(rule, iter(_answers(found, profiling if refuses else ())), language) for pk, refuses, *found in rows
    }


def _answers(found: Sequence[Any], profiling: Sequence[bool]) -> list[bool | None]:
    """The answer to each question; None to those that are not to be asked."""
    return [None if asks else bool(one) for one, asks in zip_longest(found, profiling, fillvalue=False)]


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


def _build(rule: Rule, answers: Iterator[bool | None], language: str) -> Reason:
    said = sentence(rule, language)
    if isinstance(rule, Leaf):
        answer = next(answers)
        return _reason(rule.op, answer, said if answer is not None else f"{said}{say(*REFUSED, language)}")
    if isinstance(rule, Not):
        part = _build(rule.part, answers, language)
        return _reason("not", None if part.refused else not part.holds, said, (part,))
    parts = tuple(_build(part, answers, language) for part in rule.parts)
    kind, decides = ("any", True) if isinstance(rule, AnyOf) else ("all", False)
    known = {None if part.refused else part.holds for part in parts}
    answer = decides if decides in known else None if None in known else not decides
    return _reason(kind, answer, said, parts)


def _reason(kind: str, answer: bool | None, said: str, parts: tuple[Reason, ...] = ()) -> Reason:
    return Reason(kind, answer is True, said, parts, answer is None)
