"""From the JSON schema of an operator's parameters to the inputs that ask for them; nothing is listed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, get_args

from django.db.models.enums import Choices

from segments.rules.operators import operators

DAY_LETTERS = 10  # a text of at most so many letters is a day, as in 2026-01-31


@dataclass(frozen=True)
class Input:
    """One parameter. `kind` is choice, choices, yesno, whole, number, day, text, scalar, list, tests or json.

    `needed`: there is no rule without it; `plain`: it has a default of its own and is always shown; `of` is what a
    list holds; `tests` are the alternatives of a test on properties, by name.
    """

    name: str
    kind: str
    needed: bool = False
    plain: bool = False
    default: Any = None
    options: tuple[str, ...] = ()
    of: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)
    suggests: str = ""
    tests: Mapping[str, Input] = field(default_factory=dict)

    @property
    def repeats(self) -> bool:
        return self.kind in ("list", "choices")


@cache
def inputs_of(op: str) -> Mapping[str, Input]:
    """The inputs of an operator, in the order of its parameters."""
    model = operators.get(op).Params
    schema = model.model_json_schema()
    needed, defs = set(schema.get("required", ())), schema.get("$defs", {})
    found = {
        name: _input(name, spec, defs, needed=name in needed) for name, spec in schema.get("properties", {}).items()
    }
    return {name: replace(one, labels=_labels(model.model_fields[name].annotation)) for name, one in found.items()}


def _labels(annotation: Any) -> dict[str, Any]:
    """What the values are called, where the type itself knows (Django's choices)."""
    if isinstance(annotation, type) and issubclass(annotation, Choices):
        return {str(value): label for value, label in annotation.choices}
    return {value: label for inner in get_args(annotation) for value, label in _labels(inner).items()}


def _input(name: str, spec: Mapping[str, Any], defs: Mapping[str, Any], *, needed: bool = False) -> Input:
    default = spec.get("default")
    bare = _bare(spec, defs)
    plain = not needed and default not in (None, [], {}, "")
    kind = _kind(bare, defs)
    more: dict[str, Any] = {}
    if kind in ("choice", "choices"):
        listed = bare if kind == "choice" else _bare(bare["items"], defs)
        more["options"] = tuple(map(str, listed.get("enum", [listed.get("const")])))
    elif kind == "list":
        more["of"] = _kind(_bare(bare.get("items", {}), defs), defs)
    elif kind == "tests":
        more["tests"] = _tests(bare, defs)
    return Input(name, kind, needed, plain, default, suggests=str(spec.get("suggest", "")), **more)


def _bare(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema without "or nothing", and without the detour over a name."""
    if "$ref" in spec:
        return _bare(defs.get(str(spec["$ref"]).rsplit("/", 1)[-1], {}), defs)
    some = [one for one in spec.get("anyOf", ()) if one.get("type") != "null"]
    if len(some) == 1:
        return _bare(some[0], defs)
    return {**spec, "anyOf": some} if some else spec


def _kind(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "enum" in spec or "const" in spec:
        return "choice"
    if "anyOf" in spec:
        kinds = {_kind(_bare(one, defs), defs) for one in spec["anyOf"]}
        return "scalar" if kinds <= {"text", "yesno", "whole", "number"} else "json"
    kind = str(spec.get("type", ""))
    if kind == "array":
        inner = _kind(_bare(spec.get("items", {}), defs), defs)
        return "choices" if inner == "choice" else "list" if inner in ("text", "scalar", "number", "whole") else "json"
    if kind == "object":
        return "tests" if _tests(spec, defs) else "json"
    if kind == "string":
        return "day" if spec.get("format") == "date" or spec.get("maxLength") == DAY_LETTERS else "text"
    return {"boolean": "yesno", "integer": "whole", "number": "number"}.get(kind, "json")


def _tests(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Input]:
    """What may be asked of a free key: is (a value), in (a list), or a named part of a test; {} for another object."""
    values = [*dict(spec.get("patternProperties") or {}).values()]
    if isinstance(spec.get("additionalProperties"), Mapping):
        values.append(spec["additionalProperties"])
    if len(values) != 1:
        return {}
    found: dict[str, Input] = {}
    for one in values[0].get("oneOf", values[0].get("anyOf", [values[0]])):
        bare = _bare(one, defs)
        kind = _kind(bare, defs) if bare.get("type") != "object" else "object"
        if kind in ("scalar", "text", "number", "whole", "yesno"):
            found.setdefault("is", Input("is", "scalar"))
        elif kind == "list":
            found["in"] = _input("in", one, defs)
        elif kind == "object":
            found |= {name: _input(name, part, defs) for name, part in bare.get("properties", {}).items()}
    return found
