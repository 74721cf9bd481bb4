"""Where the log ends for a reader, so that an overlapping writer can never hide a fact from a cursor.

On PostgreSQL a fact carries `tx`: its transaction's id plus the installation's offset. Ids are handed out in
order but committed in any order; whatever lies below the oldest transaction still running (xmin) can no longer
change. A reader therefore reads `tx < xmin + offset`, and a transaction never reads its own facts.
On SQLite there is one writer at a time, `tx` is 0 and the AUTOINCREMENT id is the order.
"""

from __future__ import annotations

from django.db import connection, transaction

from common.clock import is_postgres
from common.models import Instance
from segments.facts.fact import Position
from segments.models import Event

LAST_ID = 2**63 - 1


def horizon() -> Position:
    """The position up to which the log is final: every fact at or below it is there for good."""
    if not is_postgres():
        last = Event.objects.order_by("-id").values_list("id", flat=True).first()
        return Position(0, last or 0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            " + COALESCE((SELECT tx_offset FROM common_instance WHERE id = 1), 0) - 1"
        )
        return Position(cursor.fetchone()[0], LAST_ID)


def ensure_cluster() -> None:
    """Before a connection's first append on PostgreSQL: after a restore into another cluster, whose transaction
    ids restart, raise the offset so that new facts still lie after all old ones and all cursors.

    Called in the appending transaction. Costs one attribute look-up once a connection has been checked.
    """
    if getattr(connection, "facts_checked", None) is connection.connection and connection.connection is not None:
        return
    check_cluster()
    connection.facts_checked = connection.connection  # type: ignore[attr-defined]


def check_cluster() -> None:
    """Compare this database's cluster with the one the log was last written in, and raise the offset if it changed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        cluster = cursor.fetchone()[0]
    if not Instance.objects.filter(id=1, cluster=cluster).exists():
        _raise_offset(cluster)


def _raise_offset(cluster: str) -> None:
    """Set the offset above everything in the log, counted from the oldest transaction still running."""
    with transaction.atomic():
        Instance.objects.get_or_create(id=1)
        instance = Instance.objects.select_for_update().get(id=1)
        if instance.cluster == cluster:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT GREATEST((SELECT max(tx) FROM segments_event), (SELECT max(tx) FROM segments_cursor),"
                " (SELECT max(cursor_tx) FROM segments_segment), 0)"
                " - pg_snapshot_xmin(pg_current_snapshot())::text::bigint + 1"
            )
            needed = cursor.fetchone()[0]
        instance.tx_offset = max(instance.tx_offset, needed)
        instance.cluster = cluster
        instance.save(update_fields=["tx_offset", "cluster"])
