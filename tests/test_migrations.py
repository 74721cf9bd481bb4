"""The schema follows the models, and every migration can be taken back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL

ROOT = Path(__file__).parents[1]
APPS = ["common", "segments", "messaging", "campaigns"]


@pytest.mark.django_db
def test_no_model_is_ahead_of_its_migrations() -> None:
    said = io.StringIO()
    call_command("makemigrations", dry_run=True, stdout=said)
    assert said.getvalue().strip() == "No changes detected"


def test_every_data_or_sql_step_can_be_taken_back() -> None:
    loader = MigrationLoader(None)
    stuck = [
        f"{app}.{name}: {operation.describe()}"
        for (app, name), migration in loader.disk_migrations.items()
        if app in APPS
        for operation in migration.operations
        if isinstance(operation, RunPython | RunSQL) and not operation.reversible
    ]
    assert stuck == []


def test_from_nothing_to_now_and_back_and_again(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }

    def manage(*args: str) -> str:
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    manage("migrate", "-v0")
    for app in reversed(APPS):
        manage("migrate", app, "zero", "-v0")
    shown = manage("showmigrations", *APPS)
    assert "[X]" not in shown
    manage("migrate", "-v0")
    assert "[ ]" not in manage("showmigrations", *APPS)


@pytest.mark.django_db
def test_the_schema_is_the_same_on_this_database() -> None:
    tables = set(connection.introspection.table_names())
    assert {"segments_event", "messaging_delivery", "campaigns_enrolment", "common_tick"} <= tables
