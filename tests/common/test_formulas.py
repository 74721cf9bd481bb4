"""No cell of a table that we hand out runs as a formula, and numbers stay numbers."""

from __future__ import annotations

import pytest

from common.text import formula_safe


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "+cmd|x", "-2+3+cmd|x", "\t=1", "\r=1", "\n=1", " =1",
        "\xa0=1", "\ufeff=1", "\u200b@x", "\u3000+x", "＝1+1", "＋1", "－x", "＠x", "\tx", "\rx", "\nx", "-", "+", "=",
        '=HYPERLINK("http://x";"y")', "-1e5x", "+1 2", "@", "  -a",
    ],
)  # fmt: skip
def test_a_formula_gets_a_quote_before_it(text: str) -> None:
    assert formula_safe(text) == "'" + text


@pytest.mark.parametrize(
    "value",
    ["", "a", "1", "-1", "+1", "-1.5", "1,000", "-1,000.50", "a=1", "a@b.example", "中文", " a", "'=1", 5, -5, -0.1, 0],
)
def test_all_else_stays_as_it_is(value: object) -> None:
    assert formula_safe(value) == str(value)


def test_nothing_is_nothing() -> None:
    assert formula_safe(None) == ""
