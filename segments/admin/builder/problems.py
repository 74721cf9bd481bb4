"""Everything that is wrong with a draft, at once, each at its question and field, in the operator's language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from common.params import Invalid, Problem
from common.told import tell
from segments.admin.builder.inputs import Input, inputs_of
from segments.admin.builder.tree import Spot, can_be_drawn, kind_of, spots
from segments.admin.builder.words import word
from segments.rules.operators import operators
from segments.rules.order import prove_rule
from segments.rules.tree import Rule

QUOTES = (("'", "'"), ("“", "”"))


def prove(raw: Any, *, key: str = "") -> tuple[Rule | None, list[Problem]]:
    """The rule, or every problem with it, each where a person will look for it."""
    try:
        return prove_rule(raw, key=key), []
    except Invalid as error:
        placed = [_placed(one, _spot_of(raw, one.path)) for one in error.problems]
    return None, list(dict.fromkeys(placed))


def is_below(path: str, stem: str) -> bool:
    """Whether a problem's path is that place or one inside it."""
    return stem == "" or path == stem or path.startswith(f"{stem}.")


def in_words(message: str) -> str:
    """A problem as it is told to an operator; what is not known here stays as it is."""
    plain = message.removeprefix("Value error, ")
    for pattern, say in SAID:
        met = pattern.fullmatch(plain)
        if met:
            return say(met)
    return tell(plain)


def _spot_of(raw: Any, path: str) -> Spot | None:
    """The question that a problem's path lies in."""
    if not can_be_drawn(raw):
        return None
    inside = [spot for spot in spots(raw) if kind_of(spot.node) == "op" and is_below(path, spot.path)]
    return inside[-1] if inside else None


def _placed(problem: Problem, spot: Spot | None) -> Problem:
    """A problem of a question as a whole goes to the field it speaks of: by a value it quotes, or by its name."""
    if spot is None or problem.path != _join(spot.path, "params") or spot.node["op"] not in operators:
        return problem
    given = spot.node.get("params", {})
    names = [
        name for name, one in inputs_of(spot.node["op"]).items() if _speaks_of(problem.message, one, given.get(name))
    ]
    return Problem(f"{problem.path}.{names[0]}", problem.message) if names else problem


def _speaks_of(message: str, one: Input, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    quoted = [f"{start}{text}{end}" for text in values if text for start, end in QUOTES]
    if one.kind in ("text", "list") and any(text in message for text in quoted):
        return True
    rest = re.sub(r"'[^']*'", "", message)
    return one.name != "op" and re.search(rf"\b{re.escape(one.name)}\b", rest) is not None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _listed(text: str) -> str:
    return " / ".join(word(one) for one in re.findall(r"'([^']*)'", text))


def _rule(pattern: str, say: Callable[[re.Match[str]], str]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    return re.compile(pattern, re.DOTALL), say


SAID = [
    _rule(r"Field required|String should have at least 1 character.*", lambda m: _("Fill this in.")),
    _rule(r"Input should be a valid integer.*", lambda m: _("A whole number is needed here.")),
    _rule(r"Input should be a valid number.*|Input should be a finite number", lambda m: _("A number is needed here.")),
    _rule(r"Input should be a valid string", lambda m: _("A text is needed here.")),
    _rule(r"Input should be a valid date.*", lambda m: _("A date such as 2026-01-31 is needed here.")),
    _rule(r"Input should be greater than or equal to (.+)", lambda m: _("At least %(n)s.") % {"n": m[1]}),
    _rule(r"Input should be less than or equal to (.+)", lambda m: _("At most %(n)s.") % {"n": m[1]}),
    _rule(r"Input should be greater than (.+)", lambda m: _("More than %(n)s.") % {"n": m[1]}),
    _rule(r"Input should be less than (.+)", lambda m: _("Less than %(n)s.") % {"n": m[1]}),
    _rule(r"Input should be ('.+')", lambda m: _("One of: %(these)s.") % {"these": _listed(m[1])}),
    _rule(r"String should have at most (\d+) characters?", lambda m: _("At most %(n)s characters.") % {"n": m[1]}),
    _rule(r"List should have at least 1 item.*", lambda m: _("Choose at least one.")),
    _rule(r"String should match pattern.*", lambda m: _("This name holds a character that is not allowed.")),
    _rule(r"unknown name|Extra inputs are not permitted", lambda m: _("Nobody asks for this.")),
    _rule(r"unknown operator ''.*", lambda m: _("Choose a question.")),
    _rule(r"unknown operator '(.+)' \(known.*", lambda m: _("There is no question “%(op)s”.") % {"op": m[1]}),
    _rule(r"an empty list would match nobody", lambda m: _("This group is empty and would match nobody.")),
    _rule(r"nested deeper than (\d+)", lambda m: _("Nested deeper than %(n)s.") % {"n": m[1]}),
    _rule(r"a rule has at most (\d+) questions", lambda m: _("A rule has at most %(n)s questions.") % {"n": m[1]}),
    _rule(r"'(\w+)' needs a value", lambda m: _("“%(op)s” needs a value.") % {"op": word(m[1])}),
    _rule(r"'(\w+)' needs values", lambda m: _("“%(op)s” needs values.") % {"op": word(m[1])}),
    _rule(r"'(\w+)' needs days", lambda m: _("“%(op)s” needs a number of days.") % {"op": word(m[1])}),
    _rule(r"'(\w+)' needs a number", lambda m: _("“%(op)s” needs a number.") % {"op": word(m[1])}),
    _rule(r"'(\w+)' needs a date.*", lambda m: _("“%(op)s” needs a date such as 2026-01-31.") % {"op": word(m[1])}),
    _rule(r"'between' needs low and high.*", lambda m: _("“Between” needs a lower and a higher number.")),
    _rule(r"name at least one cell or octant", lambda m: _("Choose at least one.")),
    _rule(r"give at least one bound", lambda m: _("Give at least one bound.")),
    _rule(
        r"no (\w+) has the key '(.*)'",
        lambda m: _("There is no %(thing)s with the key “%(key)s”.") % {"thing": word(m[1]), "key": m[2]},
    ),
    _rule(
        r"segments read each other in a circle: (.+)",
        lambda m: _("Segments read each other in a circle: %(way)s") % {"way": m[1]},
    ),
]
