"""Whether the schema is the code's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from config.doctor import Finding, exam, red


@exam("P002", slow=True)
def schema(at: datetime) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        yield red("P002", _("%d migrations are not applied") % len(waiting), "manage.py migrate")
