"""Leave room in the pages of the tables whose rows are rewritten most (PostgreSQL only)."""

from __future__ import annotations

from django.db import migrations

TABLES = ("messaging_delivery", "messaging_attempt", "messaging_account", "messaging_address")


def _set(schema_editor, storage):
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} {storage}")


def leave_room(apps, schema_editor):
    _set(schema_editor, "SET (fillfactor = 80)")


def fill(apps, schema_editor):
    _set(schema_editor, "RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]
    operations = [migrations.RunPython(leave_room, fill)]
