"""Typed readers of the environment; `NAME_FILE` names a file that holds the value of NAME (a secret)."""

from __future__ import annotations

from pathlib import Path

import environ

BASE = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()


def text(name: str, default: str = "") -> str:
    return str(env.str(name, default=default))


def flag(name: str, default: bool = False) -> bool:
    return bool(env.bool(name, default=default))


def number(name: str, default: int) -> int:
    return int(env.int(name, default=default))


def words(name: str, default: list[str]) -> list[str]:
    """A comma-separated list."""
    return [str(item) for item in env.list(name, default=default)]


def path(name: str, default: Path) -> Path:
    """A path; a relative one is taken from the project's folder."""
    return (BASE / text(name, str(default))).resolve()
