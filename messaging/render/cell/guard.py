"""Reading a template's syntax tree before anything compiles it: what is not on the list is refused.

Jinja2's sandbox stops code, not abuse, and folds constants at compile time, so that merely linting
`{{ 'A' * 2 * 10**8 }}` costs 200 MB. Here nothing is compiled: an allow-list of nodes, filters and tests
(docs/rendering.md), bounds on size, nesting and numbers, and every problem told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, nodes

from .environment import LOOP, Cell
from .filters import FILTERS, TESTS
from .limits import COMPILED, DEPTH, LOOPS, NODES, NUMBER, SOURCE, Refused

ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict,
    nodes.Pair, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv,
    nodes.Mod, nodes.Concat, nodes.CondExpr, nodes.If, nodes.For, nodes.Assign, nodes.Keyword,
)  # fmt: skip
GROWING = (nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict, nodes.For)  # what a chain of {% set %} could double
NAMES = {
    nodes.Call: "a call", nodes.Macro: "a macro", nodes.CallBlock: "a call block", nodes.Include: "include",
    nodes.Import: "import", nodes.FromImport: "import", nodes.Extends: "extends", nodes.Block: "block",
    nodes.AssignBlock: "a set block", nodes.FilterBlock: "a filter block", nodes.NSRef: "namespace", nodes.Pow: "**",
    nodes.With: "with", nodes.ScopedEvalContextModifier: "autoescape", nodes.EvalContextModifier: "autoescape",
}  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MARKED = re.compile(r"[\x00\x01\x04-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Use:
    """One place that takes a variable from outside: its root, its second step or "", and the line. `sure`: nothing
    fails when it is missing, since it has a default or stands where it was asked for (is defined)."""

    root: str
    step: str
    line: int
    sure: bool


@dataclass(frozen=True)
class Reading:
    """A template that was read: its top-level variables, the second step of each (profile.first_name), and each use
    of both in order."""

    variables: frozenset[str]
    paths: frozenset[tuple[str, str]]
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a template, with the line where it stands."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def check(source: str, *, html: bool, limit: int = SOURCE, marks: bool = False) -> list[Fault]:
    """Every reason to refuse this source; an empty list when it may be compiled. `marks` allows the control
    characters by which publishing marks the places of links."""
    if len(source.encode("utf-8", "replace")) > limit:
        return [Fault(1, f"longer than {limit // 1024} KiB")]
    if (MARKED if marks else CONTROL).search(source):
        return [Fault(1, "holds a control character")]
    try:
        tree = parse(source, html=html)
    except TemplateSyntaxError as error:
        return [Fault(error.lineno, str(error.message))]
    except Refused as error:
        return [Fault(1, str(error))]
    return list(_faults(tree))


def refuse(source: str, *, html: bool, limit: int = COMPILED, marks: bool = False) -> None:
    """Raise Refused with the first fault, if there is one. The child asks this before it compiles."""
    faults = check(source, html=html, limit=limit, marks=marks)
    if faults:
        raise Refused(str(faults[0]))


def parse(source: str, *, html: bool) -> nodes.Template:
    """The syntax tree. Raises TemplateSyntaxError, or Refused for what the parser itself cannot bear."""
    try:
        return Cell.of(html=html).parse(source)
    except RecursionError:
        raise Refused("nested too deep") from None
    except (ValueError, OverflowError):
        raise Refused("a number is too large") from None


def read(source: str, *, html: bool) -> Reading:
    """The variables that a checked template takes from outside. Raises as `parse` does."""
    tree = parse(source, html=html)
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")} | {"loop"}
    uses = tuple(use for use in _uses(tree) if use.root not in own)
    paths = frozenset((use.root, use.step) for use in uses if use.step)
    return Reading(frozenset(use.root for use in uses), paths, uses)


def _uses(tree: nodes.Template) -> Iterator[Use]:
    """Every variable that is read, in the order of the source. Walks without recursion, as `_faults` does."""
    stack: list[tuple[nodes.Node, frozenset[tuple[str, str]], bool]] = [(tree, frozenset(), False)]
    while stack:
        node, asked, given = stack.pop()
        path = _path(node)
        if path is not None:
            yield Use(*path, node.lineno or 1, given or path in asked or (path[0], "") in asked)
            continue
        if isinstance(node, nodes.If | nodes.CondExpr | nodes.And):
            asked |= frozenset(_asked(node))
        given = _gives(node) or (given and isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Filter))
        stack.extend((child, asked, given) for child in reversed(list(node.iter_child_nodes())))


def _path(node: nodes.Node) -> tuple[str, str] | None:
    """The root and second step of a variable: x, x.y or x["y"]."""
    if isinstance(node, nodes.Name):
        return (node.name, "") if node.ctx == "load" else None
    if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            return node.node.name, node.attr
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return node.node.name, node.arg.value
    return None


def _gives(node: nodes.Node) -> bool:
    """Whether what stands in this expression may be missing: it has a default, or is only asked whether it is there."""
    if isinstance(node, nodes.Filter):
        return node.name in ("default", "d")
    return isinstance(node, nodes.Test) and node.name in ("defined", "undefined")


def _asked(node: nodes.Node) -> Iterator[tuple[str, str]]:
    """The variables that a condition asks for by `is defined`."""
    test = node.left if isinstance(node, nodes.And) else node.test  # type: ignore[attr-defined]
    for one in [test, *test.find_all(nodes.Test)]:
        path = _path(one.node) if isinstance(one, nodes.Test) and one.name == "defined" else None
        if path is not None:
            yield path


def _faults(tree: nodes.Template) -> Iterator[Fault]:
    """Walk the tree once, without recursion, so that no nesting can exhaust the stack."""
    stack: list[tuple[nodes.Node, int, int, bool]] = [(tree, 0, 0, False)]
    count = 0
    while stack:
        node, depth, loops, in_set = stack.pop()
        count += 1
        if count > NODES:
            yield Fault(1, f"more than {NODES} parts")
            return
        if depth > DEPTH:
            yield Fault(node.lineno or 1, "nested too deep")
            return
        loops += isinstance(node, nodes.For)
        in_set = in_set or isinstance(node, nodes.Assign)
        yield from (Fault(node.lineno or 1, message) for message in _messages(node, loops, in_set))
        stack.extend((child, depth + 1, loops, in_set) for child in reversed(_children(node)))


def _children(node: nodes.Node) -> list[nodes.Node]:
    """What lies below; the target of {% set %} is looked at with its node, not as an expression."""
    if isinstance(node, nodes.Assign):
        return [node.node]
    return list(node.iter_child_nodes())


def _messages(node: nodes.Node, loops: int, in_set: bool) -> Iterator[str]:
    if not isinstance(node, ALLOWED):
        yield f"{NAMES.get(type(node), type(node).__name__)} is not allowed"
    elif isinstance(node, nodes.For):
        if node.recursive:
            yield "a recursive loop is not allowed"
        if loops > LOOPS:
            yield f"more than {LOOPS} loops one in another"
    elif isinstance(node, nodes.Assign):
        if not isinstance(node.target, nodes.Name):
            yield "{% set %} takes one plain name"
    elif in_set and isinstance(node, GROWING):
        yield "{% set %} cannot join or collect values"
    else:
        yield from _expression(node)


def _expression(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.BinExpr) and node.operator not in ("and", "or"):
        if any(_is_text(side) for side in (node.left, node.right)):
            yield f"'{node.operator}' is for numbers only"
    elif isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            yield f"there is no filter '{node.name}'"
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            yield "* and ** are not allowed in a filter's arguments"
    elif isinstance(node, nodes.Test):
        if node.name not in TESTS:
            yield f"there is no test '{node.name}'"
    elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        yield f"'{node.attr}': names that begin with _ are not allowed"
    elif isinstance(node, nodes.Name) and node.name.startswith("_"):
        yield f"'{node.name}': names that begin with _ are not allowed"
    elif isinstance(node, nodes.Const) and isinstance(node.value, int | float) and not abs(node.value) <= NUMBER:
        yield "a number is too large"
    elif _is_loop(node) and node.attr not in LOOP:  # type: ignore[attr-defined]
        yield f"there is no loop.{node.attr}"  # type: ignore[attr-defined]


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, nodes.List | nodes.Tuple | nodes.Dict | nodes.Concat) or (
        isinstance(node, nodes.Const) and not isinstance(node.value, int | float)
    )


def _is_loop(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop"
