"""Who keeps a transaction open in PostgreSQL: while it is, no reader of facts passes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection
from django.utils.translation import gettext as _

from common import clock
from config.doctor import Finding, exam, red

HOLDER = timedelta(seconds=60)
HOLDERS = """
SELECT pid, concat_ws('/', datname, usename, nullif(application_name, '')),
       extract(epoch FROM clock_timestamp() - xact_start), coalesce(state, backend_type)
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_xid IS NOT NULL
  AND clock_timestamp() - xact_start > make_interval(secs => %s)
UNION ALL
SELECT 0, concat_ws('/', database, owner, gid), extract(epoch FROM clock_timestamp() - prepared), 'prepared'
FROM pg_prepared_xacts
ORDER BY 3 DESC
"""


@exam("P010")
def holders(at: datetime) -> Iterator[Finding]:
    if not clock.is_postgres():
        return
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [HOLDER.total_seconds()])
        rows = cursor.fetchall()
    for pid, who, seconds, state in rows:
        values = {"pid": pid, "who": who, "age": seconds, "state": state}
        text = _("process %(pid)s (%(who)s, %(state)s) has held a transaction open for %(age)d s") % values
        yield red("P010", text, f"SELECT pg_terminate_backend({pid})")
