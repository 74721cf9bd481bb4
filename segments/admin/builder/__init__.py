"""The rule builder: nested groups of questions drawn by the server, the whole state in the form."""

from __future__ import annotations

from segments.admin.builder.form import read_posted
from segments.admin.builder.widget import RuleBuilder, RuleField, change_draft, draw, drawn, focus_after

__all__ = ["RuleBuilder", "RuleField", "change_draft", "draw", "drawn", "focus_after", "read_posted"]
