"""What can be used is written down: every plug-in, setting and check has its row, in both languages."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from common.registry import Registry
from config.doctor import exams

ROOT = Path(__file__).parents[1]
DOCS = {"en": ROOT / "docs", "zh": ROOT / "docs" / "zh"}
FAMILIES = {  # page: module and name of the registry
    "operators": "segments.rules.operators:operators",
    "health": "segments.health:metrics",
    "growth": "segments.growth.measures:measures",
    "channels": "messaging.channels:channels",
    "gates": "messaging.gates:gates",
    "receipts": "messaging.receipts:receivers",
    "lints": "messaging.lints:lints",
    "journey-lints": "campaigns.lints:lints",
    "steps": "campaigns.steps:steps",
    "triggers": "campaigns.triggers:triggers",
    "attribution": "campaigns.attribution:models",
    "reports": "campaigns.reports:reports",
}
READERS = {"text", "flag", "number", "words", "path", "db", "str", "bool", "int", "list"}
WORD = re.compile(r"make ([a-z]+)")
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
ROW = re.compile(r"^\|\s*`([^`]+)`\s*\|", re.MULTILINE)


def rows(page: Path) -> set[str]:
    """The keys of a page's tables: what stands in backticks in the first column."""
    return set(ROW.findall(page.read_text())) if page.exists() else set()


def registry(where: str) -> Registry[object]:
    module, _, name = where.partition(":")
    found: Registry[object] = getattr(import_module(module), name)
    return found


def settings_read(source: str) -> set[str]:
    """Names of the environment that a settings file asks for."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in READERS and re.fullmatch(r"[A-Z][A-Z0-9_]+", str(node.args[0].value)):
                found.add(str(node.args[0].value))
    return found


def ids(*files: str, pattern: str) -> set[str]:
    """Every id that the files' source mentions."""
    return {found for file in files for found in re.findall(pattern, (ROOT / file).read_text())}


@pytest.mark.parametrize("language", DOCS)
@pytest.mark.parametrize("page", FAMILIES)
def test_every_plugin_has_its_row(page: str, language: str) -> None:
    known = set(registry(FAMILIES[page]).keys())
    assert known - rows(DOCS[language] / f"{page}.md") == set()


@pytest.mark.parametrize("language", DOCS)
def test_every_setting_has_its_row(language: str) -> None:
    read = settings_read((ROOT / "config/settings.py").read_text())
    assert {"SECRET_KEY", "DATABASE_URL", "PERENNIAL_VAR", "PERENNIAL_DAY_SECONDS"} <= read
    written = rows(DOCS[language] / "settings.md")
    assert read - written == set()
    assert written - read == set(), "the page names settings that nobody reads"


@pytest.mark.parametrize("language", DOCS)
def test_every_check_has_its_row(language: str) -> None:
    known = {"P001", *exams.keys()}
    known |= {f"perennial.{end}" for end in ids("config/checks.py", pattern=r'id="perennial\.([EW]\d{3})"')}
    assert len(known) > 20
    assert known - rows(DOCS[language] / "checks.md") == set()


def test_every_page_exists_in_both_languages() -> None:
    pages = {language: {page.name for page in folder.glob("*.md")} for language, folder in DOCS.items()}
    assert pages["zh"] == pages["en"]
    assert pages["en"] >= {f"{page}.md" for page in [*FAMILIES, "settings", "checks", "running"]}


@pytest.mark.parametrize(
    "file", ["README.md", "README.zh.md", "CONTRIBUTING.md", "docs/running.md", "docs/zh/running.md"]
)
def test_every_word_of_make_exists(file: str) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    said = set(WORD.findall("\n".join(re.findall(r"`[^`]+`|^ {0,4}make .*$", (ROOT / file).read_text(), re.MULTILINE))))
    assert said - targets == set()


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert broken == []


def test_a_missing_row_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "steps.md"
    page.write_text("| key | what |\n|---|---|\n| `wait` | waits |\n|  `send`  | sends |\nsee `branch` |\n")
    assert rows(page) == {"wait", "send"}
    assert rows(tmp_path / "none.md") == set()
    assert settings_read('X = text("ABC")\nY = env.db("DATABASE_URL", default="x")\nZ = path("lower")') == {
        "ABC",
        "DATABASE_URL",
    }
