"""From rule JSON to a tree, with everything that is wrong said at once and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from common.params import Invalid, Params, Problem, read_params
from common.text import has_poison
from segments.rules.operators import operators
from segments.rules.tree import All, AnyOf, Leaf, Not, Rule, leaves

DEEPEST = 12
MOST = 200
LARGEST = 2**63 - 1
NO_TEXT = "the text holds a character that cannot be stored (NUL or half a surrogate pair)"
KINDS = ("all", "any", "not", "op")


def parse_rule(raw: object) -> Rule:
    """Read `{"all": […]}`, `{"any": […]}`, `{"not": {…}}` or `{"op": …, "params": {…}}`.

    Raises Invalid with every problem and its path ("all.1.params.days"); what only the database knows is asked
    by `check_rule`.
    """
    rule, problems = read_rule(raw)
    if problems or rule is None:
        raise Invalid(problems)
    return rule


def read_rule(raw: object) -> tuple[Rule | None, list[Problem]]:
    """What of a rule can be read, and every problem of form with the rest; of one that is too large, nothing is."""
    if _is_too_large(raw):
        return None, [Problem("", f"a rule has at most {MOST} questions")]
    problems: list[Problem] = []
    return _read(raw, "", 1, problems), problems


def _is_too_large(raw: object) -> bool:
    """Whether there are more questions than may be; a group without any counts as one, since it costs as much."""
    todo, ends = [raw], 0
    while todo and ends <= MOST:
        node = todo.pop()
        inner = _inside(node) if isinstance(node, Mapping) else []
        ends += not inner
        todo += inner
    return ends > MOST


def _inside(node: Mapping[Any, Any]) -> list[Any]:
    """The parts of a group."""
    lists = [node[kind] for kind in ("all", "any") if isinstance(node.get(kind), list | tuple)]
    return [*(part for parts in lists for part in parts), *([node["not"]] if "not" in node else [])]


def check_rule(rule: Rule) -> list[Problem]:
    """What the operators find wrong with the names in it: a segment, level or badge that does not exist."""
    return [
        Problem(_join(leaf.path, "params"), message)
        for leaf in leaves(rule)
        for message in leaf.operator.check(leaf.params)
    ]


def _read(raw: object, path: str, depth: int, problems: list[Problem]) -> Rule | None:
    if not isinstance(raw, Mapping):
        problems.append(Problem(path, "expected an object with one of: all, any, not, op"))
        return None
    found = [kind for kind in KINDS if kind in raw]
    if len(found) != 1:
        problems.append(Problem(path, "expected exactly one of: all, any, not, op"))
        return None
    if depth > DEEPEST:
        problems.append(Problem(path, f"nested deeper than {DEEPEST}"))
        return None
    kind = found[0]
    allowed = {"op", "params"} if kind == "op" else {kind}
    problems.extend(Problem(_join(path, str(key)), "unknown name") for key in raw if key not in allowed)
    if kind == "op":
        return _read_leaf(raw, path, problems)
    if kind == "not":
        part = _read(raw["not"], _join(path, "not"), depth + 1, problems)
        return None if part is None else Not(part)
    return _read_parts(kind, raw[kind], _join(path, kind), depth, problems)


def _read_parts(kind: str, raw: object, path: str, depth: int, problems: list[Problem]) -> Rule | None:
    if not isinstance(raw, list | tuple):
        problems.append(Problem(path, "expected a list"))
        return None
    if kind == "any" and not raw:
        problems.append(Problem(path, "an empty list would match nobody"))
    parts = [_read(item, _join(path, str(index)), depth + 1, problems) for index, item in enumerate(raw)]
    good = tuple(part for part in parts if part is not None)
    return All(good) if kind == "all" else AnyOf(good)


def _read_leaf(raw: Mapping[Any, Any], path: str, problems: list[Problem]) -> Leaf | None:
    key, given = raw["op"], raw.get("params", {})
    if not isinstance(key, str) or key not in operators:
        problems.append(Problem(_join(path, "op"), f"unknown operator {key!r} (known: {', '.join(operators.keys())})"))
        return None
    if not isinstance(given, Mapping):
        problems.append(Problem(_join(path, "params"), "expected an object"))
        return None
    unusable = list(_unusable(given, _join(path, "params")))
    if unusable:
        problems.extend(unusable)
        return None
    try:
        params: Params = read_params(operators.get(key).Params, given, path=_join(path, "params"))
    except Invalid as error:
        problems.extend(error.problems)
        return None
    return Leaf(key, params, path)


def _unusable(given: Any, path: str) -> Iterator[Problem]:
    """Texts and numbers that a database cannot take, wherever they stand in the parameters."""
    todo = [(given, path)]
    while todo:
        value, where = todo.pop()
        if isinstance(value, Mapping):
            if any(has_poison(str(key)) for key in value):
                yield Problem(where, NO_TEXT)
            todo += [(part, _join(where, str(key))) for key, part in value.items() if not has_poison(str(key))]
        elif isinstance(value, list | tuple):
            todo += [(part, _join(where, str(index))) for index, part in enumerate(value)]
        elif isinstance(value, str) and has_poison(value):
            yield Problem(where, NO_TEXT)
        elif isinstance(value, int) and abs(value) > LARGEST:
            yield Problem(where, f"whole numbers go up to {LARGEST}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
