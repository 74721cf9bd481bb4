"""Whatever is told to an operator as wrong is told in Chinese too: problems of input, of rules and flows, of rows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from common.params import Problem
from common.told import tell
from segments.admin.builder.problems import in_words
from segments.ingest.check import MESSAGES
from tests.admin.test_catalogue import CALLS

ROOT = Path(__file__).parents[1]
APPS = ("common", "segments", "messaging", "campaigns")
PLUGINS = ("operators", "steps", "triggers", "reports", "health", "gates")  # their parameters are checked by pydantic
TOLD = {"Problem": 1, "Refused": 2, "Refusal": 2}  # which argument is the text
MARKED = CALLS | {"say"}
FILLERS = ("5", "'x'", "x")


def samples(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, with fillers for what it puts in; none for what is marked or passed on."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for filler in FILLERS:
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else filler for part in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left in samples(node.left):
            yield from (left + right for right in samples(node.right) or [FILLERS[0]])
        if not list(samples(node.right)):
            yield from (left + "x" for left in samples(node.left))
    elif isinstance(node, ast.IfExp):
        yield from samples(node.body)
        yield from samples(node.orelse)
    elif isinstance(node, ast.List | ast.Tuple):
        for one in node.elts:
            yield from samples(one)
    elif isinstance(node, ast.ListComp):
        yield from samples(node.elt)


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def texts_in(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line, and the forms of one text, for each text of the module that an operator may be told."""
    plugin = any(part in PLUGINS for part in path.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and name_of(node.func) in TOLD:
            place = TOLD[name_of(node.func)]
            if len(node.args) > place:
                yield node.lineno, list(samples(node.args[place]))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if (plugin or path.name == "graph.py") and name_of(node.exc.func) == "ValueError" and node.exc.args:
                yield node.lineno, list(samples(node.exc.args[0]))
        elif plugin and isinstance(node, ast.FunctionDef) and node.name == "check":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield inner.lineno, list(samples(inner.value))


def every_text() -> list[tuple[str, list[str]]]:
    found = []
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts and "management" not in path.parts:
                place = path.relative_to(ROOT)
                found += [(f"{place}:{line}", forms) for line, forms in texts_in(path) if any(map(_speaks, forms))]
    return found


def _speaks(text: str) -> bool:
    return any(letter.isalpha() for letter in text)


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_every_problem_is_told_in_chinese() -> None:
    found = every_text()
    assert len(found) > 120
    with translation.override("zh-hans"):
        missing = [
            (place, forms[0])
            for place, forms in found
            if not any(is_chinese(tell(form)) or is_chinese(in_words(form)) for form in forms)
        ]
    assert missing == []


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_every_reason_of_a_row_is_told_in_chinese(code: str) -> None:
    with translation.override("zh-hans"):
        assert is_chinese(tell(MESSAGES[code]))


def test_what_a_text_quotes_is_kept_and_what_nobody_knows_stays() -> None:
    problem = Problem("nodes.gift", "no step 'gift' (known: wait, exit)")
    assert str(problem) == "nodes.gift: no step 'gift' (known: wait, exit)"
    with translation.override("zh-hans"):
        assert str(problem) == "nodes.gift: 没有步骤“gift”（已知：wait, exit）"
        assert tell("something entirely new") == "something entirely new"
        assert tell("Field required") == "请填写。"
