"""The Jinja2 environment of the cell: values are plain data, and nothing of Python can be reached from them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import StrictUndefined
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.nodes import Expr
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from .filters import FILTERS, TESTS
from .limits import NUMBER

LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
MISSING: Any = object()
_SPECIAL = re.compile("[&<>'\"]").search


class Missing(StrictUndefined):
    """A variable that is not there: it may be asked for more (`coupon.code`) and given a `default`, but
    printing it, looping over it or comparing it fails this message, and this message alone."""

    __slots__ = ()


class _Writer(CodeGenerator):
    """Prints a value by one call of the environment, where Jinja2 nests three."""

    def _output_child_pre(self, node: Expr, frame: Any, finalize: Any) -> None:
        self.write("environment.escaped(" if frame.eval_ctx.autoescape else "environment.plain(")

    def _output_child_post(self, node: Expr, frame: Any, finalize: Any) -> None:
        self.write(")")


class Cell(ImmutableSandboxedEnvironment):
    """Item access only, on dicts, lists, text and `loop`; arithmetic on bounded numbers only; no call at all."""

    code_generator_class = _Writer
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, *, html: bool) -> None:
        super().__init__(autoescape=html, undefined=Missing, finalize=_printable, cache_size=0, loader=None)
        self.globals.clear()
        self.filters.clear()
        self.filters.update(FILTERS)
        self.tests.clear()
        self.tests.update(TESTS)

    @classmethod
    @cache
    def of(cls, *, html: bool) -> Cell:
        """The two environments of a process: with autoescape for HTML parts, without for text."""
        return cls(html=html)

    def escaped(self, value: Any) -> str:
        """A value as it is printed into HTML; what needs no escaping, mostly all, is spared the longer way."""
        kind = type(value)
        if kind is str and not _SPECIAL(value):
            return value  # type: ignore[no-any-return]
        return str(value) if kind is int else escape(_printable(value))

    def plain(self, value: Any) -> str:
        """A value as it is printed into text."""
        return value if type(value) is str else str(_printable(value))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return obj[attribute] if type(obj) is dict and attribute in obj else self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = MISSING
        if isinstance(obj, dict):
            found = obj.get(argument, MISSING) if isinstance(argument, str | int) else MISSING
        elif isinstance(obj, list | tuple | str):
            if type(argument) is int and -len(obj) <= argument < len(obj):
                found = obj[argument]
        elif isinstance(obj, LoopContext) and argument in LOOP:
            found = getattr(obj, argument)
        elif isinstance(obj, Undefined):
            return Missing(name=f"{obj._undefined_name}.{argument}")
        return Missing(name=str(argument)) if found is MISSING else found

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not _is_number(left) or not _is_number(right) or operator == "**":
            raise SecurityError(f"'{operator}' is for numbers only")
        result = self.binop_table[operator](left, right)
        if not abs(result) <= NUMBER:
            raise SecurityError("a number is too large")
        return result

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise SecurityError("a call is not allowed")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= NUMBER


def _printable(value: Any) -> Any:
    """An empty value is a missing one: nobody is written to as "None"."""
    return Missing(hint="an empty value cannot be printed: give it a default") if value is None else value
