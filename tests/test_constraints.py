"""The lock files: every package pinned with a hash, no address of any index, one version in both sets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ["constraints.txt", "constraints-dev.txt"]
SETS = {
    "constraints.txt": ["postgres", "redis", "parquet", "demo", "messages", "push"],
    "constraints-dev.txt": ["postgres", "redis", "parquet", "demo", "messages", "push", "apprise", "dev"],
}
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)(?:\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+)?")
FORBIDDEN = re.compile(r"://|\bindex\b|index-url|find-links|trusted-host|^-|\s@\s|file:", re.IGNORECASE)


def blocks(name: str) -> list[str]:
    """Return one string for each pinned package: its pin and, joined to it, its hashes."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text())
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for block in blocks(name):
        match = PIN.match(block)
        assert match, f"{name}: not a pin: {block[:80]}"
        found.setdefault(match["name"], set()).add(match["version"] + (match["marker"] or "").rstrip())
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_address_and_no_option(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if FORBIDDEN.search(line)] == []


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_a_hash(name: str) -> None:
    found = blocks(name)
    assert len(found) > 50
    assert [block for block in found if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)] == []


@pytest.mark.parametrize("name", FILES)
def test_every_declared_dependency_is_locked(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = list(project["dependencies"])
    for extra in SETS[name]:
        declared += project["optional-dependencies"][extra]
    names = {re.split(r"[\[=~<>!;\s]", line)[0].lower().replace("_", "-") for line in declared}
    assert names - set(pins(name)) == set()


def test_both_sets_agree() -> None:
    runtime, dev = pins("constraints.txt"), pins("constraints-dev.txt")
    assert {name: versions for name, versions in runtime.items() if dev.get(name) != versions} == {}


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "--find-links wheels",
        "-e .",
        "perennial @ file:wheel",
        "six==1.17.0 # from https://example.org",
    ],
)
def test_the_forbidden_is_recognised(line: str) -> None:
    assert FORBIDDEN.search(line)
