"""A draft as the template draws it: boxes of groups and questions, each field with its value, offers and problems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from common.params import Invalid, Problem
from segments.admin.builder.form import looks_like_no_text, shown
from segments.admin.builder.inputs import Input, inputs_of
from segments.admin.builder.problems import in_words, is_below
from segments.admin.builder.suggest import Known, Option, fact_beside, source_of
from segments.admin.builder.tree import LISTS, Draft, Spot, kind_of, parts_of, spots
from segments.admin.builder.words import question, word
from segments.rules.explain import sentence
from segments.rules.operators import operators
from segments.rules.parse import parse_rule

SHARED = "rule-offers-"  # begins the id of a list of offers that is the same for every question
FEW = 4  # so many optional parameters are shown at once; of more, those that are asked for


@dataclass(frozen=True)
class Cell:
    """One input element. `as_text`: None when the letters can only mean one thing, else what they mean now."""

    name: str
    id: str
    kind: str
    value: str = ""
    options: tuple[tuple[str, str, bool], ...] = ()
    offers: str = ""
    as_text: bool | None = None
    label: str = ""


@dataclass(frozen=True)
class Row:
    """One test on a property: its name, the test, and the cells that hold what it is compared with."""

    name: Cell
    test: Cell
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Field:
    """One parameter of a question."""

    name: str
    label: str
    needed: bool
    kind: str
    cells: tuple[Cell, ...]
    slot: str
    said: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    offers: tuple[Option, ...] = ()
    offers_id: str = ""

    @property
    def scalars(self) -> list[Cell]:
        """The cells whose letters may mean a text or something else."""
        return [cell for cell in (*self.cells, *(cell for row in self.rows for cell in row.cells)) if _is_scalar(cell)]


@dataclass(frozen=True)
class Node:
    """One box. `said` are the problems of the box as a whole."""

    place: str
    kind: str
    depth: int
    title: str
    sentence: str
    said: tuple[str, ...]
    op: str = ""
    kept: str = ""
    parts: tuple[Node, ...] = ()
    fields: tuple[Field, ...] = ()
    more: tuple[Field, ...] = ()
    strange: tuple[Cell, ...] = ()
    is_root: bool = False
    can_move: bool = False
    is_first: bool = False
    is_last: bool = False

    @property
    def mark(self) -> str:
        """The place as part of an id."""
        return self.place.replace(".", "_")

    def walk(self) -> list[Node]:
        return [self, *(one for part in self.parts for one in part.walk())]

    def every_field(self) -> list[Field]:
        return [*self.fields, *self.more]


@dataclass
class Drawing:
    """What drawing a draft needs to know. `fresh` is the place of a question just chosen: it is not scolded yet."""

    problems: Sequence[Problem]
    language: str
    fresh: str = ""
    known: Known = field(default_factory=Known)

    def draw(self, draft: Draft) -> Node:
        return self._node({spot.place: spot for spot in spots(draft)}, "0")

    def _node(self, all_spots: Mapping[str, Spot], place: str) -> Node:
        spot = all_spots[place]
        above = all_spots.get(place.rpartition(".")[0])
        siblings = parts_of(above.node) if above and kind_of(above.node) in LISTS else []
        last = int(place.rpartition(".")[2])
        common: dict[str, Any] = {
            "place": place,
            "kind": kind_of(spot.node),
            "depth": spot.depth,
            "sentence": _sentence(spot.node, self.language),
            "is_root": above is None,
            "can_move": len(siblings) > 1,
            "is_first": last == 0,
            "is_last": last == len(siblings) - 1,
        }
        if common["kind"] != "op":
            parts = tuple(self._node(all_spots, f"{place}.{n}") for n in range(len(parts_of(spot.node))))
            inside = f"{spot.path}.{common['kind']}" if spot.path else common["kind"]
            said = (*self._said_at(spot.path, exact=True), *self._said_at(inside, exact=True))
            return Node(title="", said=said, parts=parts, **common)
        op = spot.node["op"]
        if op not in operators:
            kept = json.dumps(spot.node.get("params") or {}, ensure_ascii=False)
            said = self._said_at(spot.path) if op else ()
            return Node(title=op, op=op, kept=kept, said=said, **common)
        fields, strange = self._fields(spot, op)
        named = [f"{spot.path}.params.{one.name}" if spot.path else f"params.{one.name}" for one in fields]
        first = self._first_shown(fields, inputs_of(op), spot.node.get("params", {}))
        return Node(
            title=question(op),
            op=op,
            said=self._said_at(spot.path, but=named, place=place),
            fields=tuple(one for one in fields if one.name in first),
            more=tuple(one for one in fields if one.name not in first),
            strange=tuple(strange),
            **common,
        )

    def _first_shown(self, fields: Sequence[Field], inputs: Mapping[str, Input], params: Mapping[str, Any]) -> set[str]:
        """What is asked for, given, needed, wrong, or one of few; tests on properties wait until they are wanted."""
        optional = [one for one in inputs.values() if not one.needed and not one.plain]
        few = {one.name for one in optional if one.kind != "tests"} if len(optional) <= FEW else set()
        return {
            one.name
            for one in fields
            if one.needed or inputs[one.name].plain or one.name in params or one.said or one.name in few
        }

    def _fields(self, spot: Spot, op: str) -> tuple[list[Field], list[Cell]]:
        params = spot.node.get("params", {})
        inputs = inputs_of(op)
        stem = f"{spot.path}.params" if spot.path else "params"
        fields = [
            self._field(spot.place, op, one, params, self._said_at(f"{stem}.{name}", place=spot.place))
            for name, one in inputs.items()
        ]
        strange = [
            Cell(f"rule|{spot.place}|x|{name}", _id(spot.place, "x", name), "json", _json(value), label=name)
            for name, value in params.items()
            if name not in inputs
        ]
        return fields, strange

    def _field(self, place: str, op: str, one: Input, params: Mapping[str, Any], said: tuple[str, ...]) -> Field:
        stem, own = f"rule|{place}|p|{one.name}", _id(place, one.name)
        offers, offers_id = self._offers(place, op, one, params)
        value = params.get(one.name, one.default)
        rows: tuple[Row, ...] = ()
        cells: tuple[Cell, ...] = ()
        if one.kind == "tests":
            rows = self._rows(stem, own, one, value if isinstance(value, dict) else {}, offers_id)
        else:
            cells = _cells(stem, own, one, value, offers_id)
        return Field(
            one.name, word(one.name), one.needed, one.kind, cells, f"{own}-said", said, rows, tuple(offers), offers_id
        )

    def _offers(self, place: str, op: str, one: Input, params: Mapping[str, Any]) -> tuple[list[Option], str]:
        """The offers of an input with the id of their list; those that all questions share are looked up and drawn
        once, by whoever draws the whole builder."""
        source = source_of(op, one)
        if source == "value":
            return self.known.values(str(params.get("trait", ""))), _id(place, one.name, "offers")
        if source == "property":
            return self.known.properties(fact_beside(op, one, params)), _id(place, one.name, "offers")
        return [], f"{SHARED}{source}" if source else ""

    def _rows(self, stem: str, own: str, one: Input, tests: Mapping[str, Any], offers: str) -> tuple[Row, ...]:
        """A row for each part of each test, and an empty one."""
        asked = [(name, test, value) for name, said in tests.items() for test, value in _parts(said)]
        found = []
        for n, (name, test, value) in enumerate([*asked, ("", "is", None)]):
            names = [test, *(key for key in one.tests if key != test and not (key == "any_of" and "in" in one.tests))]
            ordered = [key for key in one.tests if key in names] or [test]
            options = tuple((key, word(key), key == test) for key in ordered)
            asks = one.tests.get(test, Input(test, "json"))
            found.append(
                Row(
                    Cell(f"{stem}|{n}|name", f"{own}-{n}-name", "text", name, offers=offers, label=word("property")),
                    Cell(f"{stem}|{n}|test", f"{own}-{n}-test", "choice", test, options, label=word("op")),
                    _cells(f"{stem}|{n}|{test}", f"{own}-{n}-{test}", asks, value, ""),
                )
            )
        return tuple(found)

    def _said_at(self, path: str, *, exact: bool = False, but: Sequence[str] = (), place: str = "") -> tuple[str, ...]:
        """The problems at a path and below it, without those that fields tell; nothing of a question just chosen."""
        if place and place == self.fresh:
            return ()
        found = [
            in_words(one.message)
            for one in self.problems
            if (one.path == path or (not exact and is_below(one.path, path) and path != ""))
            and not any(is_below(one.path, name) for name in but)
        ]
        return tuple(dict.fromkeys(found))


def _cells(stem: str, own: str, one: Input, value: Any, offers: str) -> tuple[Cell, ...]:
    """The inputs of a value: one, or for a list one for each and an empty one."""
    if one.kind == "list":
        values = [*(value if isinstance(value, list) else [] if value is None else [value]), None]
        return tuple(_cell(stem, f"{own}-{n}", one.of, item, offers) for n, item in enumerate(values))
    if one.kind == "choices":
        given = [str(item) for item in value] if isinstance(value, list) else []
        names = [*one.options, *(item for item in given if item not in one.options)]
        return (Cell(stem, own, "choices", options=tuple((name, _called(one, name), name in given) for name in names)),)
    if one.kind in ("choice", "yesno"):
        now, names = shown(value), list(one.options) if one.kind == "choice" else ["true", "false"]
        if now and now not in names:
            names.append(now)
        blank = [] if one.default is not None and one.kind == "choice" else [("", "–", not now)]
        options = (*blank, *((name, _called(one, name), name == now) for name in names))
        return (Cell(stem, own, "choice", now, options),)
    return (_cell(stem, own, one.kind, value, offers),)


def _cell(stem: str, own: str, kind: str, value: Any, offers: str) -> Cell:
    if kind == "json" or isinstance(value, list | dict):
        return Cell(stem, own, "json", "" if value is None else _json(value))
    if kind == "day" and value and not _is_day(str(value)):
        kind = "text"  # a box for dates would swallow what was typed
    as_text = isinstance(value, str) if kind == "scalar" and looks_like_no_text(value) else None
    return Cell(stem, own, kind, shown(value), offers=offers, as_text=as_text)


def _called(one: Input, value: str) -> str:
    return str(one.labels.get(value) or word(value))


def _is_scalar(cell: Cell) -> bool:
    return cell.kind == "scalar"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text) is not None
    except ValueError:
        return False


def _parts(said: Any) -> list[tuple[str, Any]]:
    """A test of a property as (test, value) pairs."""
    if isinstance(said, dict):
        return list(said.items())
    return [("in" if isinstance(said, list) else "is", said)]


def _sentence(node: Draft, language: str) -> str:
    try:
        return sentence(parse_rule(node), language)
    except Invalid:
        return ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(place: str, *names: str) -> str:
    """An id that is a name everywhere: letters that are not plain become their number."""
    plain = ["".join(ch if ch.isascii() and ch.isalnum() else f"_{ord(ch):x}" for ch in name) for name in names]
    return "-".join(["rule", place.replace(".", "_"), *plain])
