"""What PostgreSQL's planner must be told where its usual guess goes wrong; nothing on SQLite."""

from __future__ import annotations

from django.db import connection

from common.clock import is_postgres


def plan_anew() -> None:
    """Until the end of the transaction plan each statement for its own values and for the tables as they are now.

    A plan for any values is kept as long as no statistics are taken. Made while a table was small it reads all of it
    (for each of a page's 5,000 ids), and goes on so while a first pass fills it.
    """
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
