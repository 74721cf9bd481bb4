"""The Chinese catalogue is complete: every text in the code has a translation, with the same variables."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import polib
import pytest
from django.template.base import TemplateSyntaxError
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[2]
PO = ROOT / "config/locale/zh_Hans/LC_MESSAGES/django.po"
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
VARIABLES = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")
APPS = ("common", "segments", "messaging", "campaigns", "config")
IN_TEMPLATE = re.compile(r"""\bn?gettext\((?:u?(?P<q>['"]{1,3}))(?P<text>.*?)(?P=q)[,)]""", re.DOTALL)


@pytest.fixture(scope="module")
def catalogue() -> dict[str, polib.POEntry]:
    return {entry.msgid: entry for entry in polib.pofile(str(PO)) if not entry.obsolete}


def in_python(source: str) -> set[str]:
    """Constant texts that a module hands to gettext."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and _called(node.func) in CALLS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def _called(func: ast.expr) -> str:
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""


def in_template(source: str) -> set[str]:
    """Texts that a template marks, as Django's own extraction sees them."""
    return {ast.literal_eval(f"'''{m['text']}'''") for m in IN_TEMPLATE.finditer(templatize(source))}


def texts() -> dict[str, str]:
    """Every marked text of the project, with a file where it stands."""
    found = {}
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            found |= dict.fromkeys(in_python(path.read_text()), str(path.relative_to(ROOT)))
    for path in (ROOT / "templates").rglob("*.html"):
        try:
            found |= dict.fromkeys(in_template(path.read_text()), str(path.relative_to(ROOT)))
        except TemplateSyntaxError:
            continue  # a message of the Jinja kind, translated by its own variants
    return found


def test_every_text_is_in_the_catalogue(catalogue: dict[str, polib.POEntry]) -> None:
    marked = texts()
    assert len(marked) > 900
    assert {text: file for text, file in marked.items() if text not in catalogue} == {}


def test_every_entry_is_translated(catalogue: dict[str, polib.POEntry]) -> None:
    assert [msgid for msgid, entry in catalogue.items() if not entry.translated()] == []
    assert not [msgid for msgid, entry in catalogue.items() if "fuzzy" in entry.flags]


def test_translations_keep_their_variables(catalogue: dict[str, polib.POEntry]) -> None:
    wrong = []
    for msgid, entry in catalogue.items():
        for said in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            if sorted(VARIABLES.findall(said)) != sorted(VARIABLES.findall(entry.msgid_plural or msgid)):
                wrong.append((msgid, said))
    assert wrong == []


def test_extraction_sees_both_kinds() -> None:
    assert in_python("from x import gettext as _\n_('one'); gettext_lazy('two'); f('three')") == {"one", "two"}
    source = '{% load i18n %}{% translate "a b" %}{% blocktranslate with n=x %}c {{ n }}{% endblocktranslate %}'
    assert in_template(source) == {"a b", "c %(n)s"}
