"""Files come in whole, once, and piece by piece; what is wrong in them is told with its line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from common.faults import install
from common.params import Invalid
from segments.imports import files
from segments.imports import run as room
from segments.imports.files import open_file, survey
from segments.imports.options import Options
from segments.imports.run import Progress, find_unfinished, make_job, run_import
from segments.models import Event, EventStats, Identity, ImportJob, Order, Profile, RejectedRow
from tests.people import NOW, make_source

pytestmark = pytest.mark.django_db
PEOPLE = {"user_id": "id", "email": "mail", "city": "city", "visits": "visits", "vip": "vip"}
LINES = {
    "user_id": "household-{household}",
    "order_id": "basket",
    "total": "value",
    "product_id": "product",
    "quantity": "quantity",
    "placed_at": "at",
    "currency": ":USD",
    "properties.store": "store",
}


def bring(path: Path, kind: str, fields: dict[str, str] | None = None, **also: Any) -> ImportJob:
    said = {name: also.pop(name) for name in ("historical", "dry_run") if name in also}
    options = Options(fields=fields or {}, **also)
    return run_import(make_job(path, kind, make_source("file", kind="import"), options, **said), now=NOW)


def counts(job: ImportJob) -> tuple[int, int, int, int]:
    return job.rows_done, job.rows_stored, job.rows_known, job.rows_rejected


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_baskets(path: Path, baskets: int) -> Path:
    """Three lines a basket, one dollar and a cent each, a minute apart, five households."""
    import pyarrow
    import pyarrow.parquet as parquet

    lines = [(basket, line) for basket in range(baskets) for line in range(3)]
    start = datetime(2026, 2, 20, 8)  # noqa: DTZ001 - as such files are
    table = pyarrow.table(
        {
            "household": [basket % 5 for basket, _ in lines],
            "basket": [10_000 + basket for basket, _ in lines],
            "product": [line for _, line in lines],
            "quantity": [1 for _ in lines],
            "value": [1.01 for _ in lines],
            "store": [basket % 7 for basket, _ in lines],
            "unused": ["x" * 50 for _ in lines],
            "at": pyarrow.array([start + timedelta(minutes=b) for b, _ in lines], pyarrow.timestamp("ns")),
        }
    )
    parquet.write_table(table, path, row_group_size=100)
    return path


def test_people_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text('id,mail,city,visits,vip,zip\n1,Mei@Example.com,"Bonn, am Rhein",7,true,01\n2,,,,,\n', "utf-8")
    job = bring(path, "profiles", {**PEOPLE, "zip": "zip"})
    assert counts(job) == (2, 2, 0, 0)
    mei = Identity.objects.get(kind="user_id", value="1").profile
    assert (mei.email, mei.city, mei.traits) == (
        "mei@example.com",
        "Bonn, am Rhein",
        {"visits": 7, "vip": True, "zip": "01"},
    )
    assert set(Event.objects.values_list("live", "name")) == {(False, "identify")}
    assert job.state == "done"


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id,mail\n1,a@example.com\n2,b@example.com\n", "utf-8")
    fields = {"user_id": "id", "email": "mail"}
    bring(path, "profiles", fields)
    Profile.objects.filter(email="a@example.com").update(city="Bonn")
    assert counts(bring(path, "profiles", fields)) == (2, 0, 2, 0)
    assert Profile.objects.get(email="a@example.com").city == "Bonn"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_found_out(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text("编号;城市\n1;上海\n2;北京\n" + "3;x\n" * 3, encoding)
    bring(path, "profiles", {"user_id": "编号", "city": "城市"})
    assert set(Profile.objects.values_list("city", flat=True)) == {"上海", "北京", "x"}


def test_chinese_far_into_a_gb18030_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"id,city\n" + b"1,x\n" * 400_000 + "2,上海\n".encode("gb18030"))
    assert survey(path).encoding == "gb18030"


def test_lines_of_a_basket_become_one_order(tmp_path: Path) -> None:
    job = bring(write_baskets(tmp_path / "b.parquet", 50), "orders", LINES, group_by="basket")
    assert counts(job) == (150, 50, 0, 0)
    first = Order.objects.get(order_id="10000")
    assert (first.total, first.currency, first.placed_at) == (303, "USD", datetime(2026, 2, 20, 8, tzinfo=UTC))
    assert first.items == [{"product_id": line, "quantity": 1} for line in range(3)]
    event = Event.objects.get(key="order:10000")
    assert (event.name, event.value, event.live) == ("Order Completed", 303, False)
    assert event.properties == {"order_id": "10000", "total": 3.03, "currency": "USD", "store": 0}
    assert EventStats.objects.count() == Profile.objects.count() == 5
    assert sum(EventStats.objects.values_list("amount", flat=True)) == 50 * 303


def test_lines_that_do_not_follow_each_other_are_told(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text("who,basket,value\na,1,1.10\na,2,2\na,1,3\n", "utf-8")
    fields = {"user_id": "who", "order_id": "basket", "total": "value"}
    job = bring(path, "orders", fields, group_by="basket")
    assert counts(job) == (3, 2, 0, 1)
    assert job.report["first"][0]["line"] == 4
    assert job.report["codes"] == {"lines_apart": 1}


def test_times_are_shifted_and_live_from_a_moment(tmp_path: Path) -> None:
    path = write_baskets(tmp_path / "b.parquet", 20)
    since = datetime(2026, 2, 27, 8, 10, tzinfo=UTC)
    bring(path, "orders", LINES, group_by="basket", shift_days=7, live_since=since)
    assert Order.objects.get(order_id="10000").placed_at == datetime(2026, 2, 27, 8, tzinfo=UTC)
    assert set(Event.objects.filter(live=True).values_list("key", flat=True)) == {
        f"order:{10_010 + i}" for i in range(10)
    }


def test_bare_times_are_read_in_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("who,no,sum,at\na,1,5,2026/2/1 08:30\na,2,5,2026-02-01T08:30:00+01:00\n", "utf-8")
    fields = {"user_id": "who", "order_id": "no", "total": "sum", "placed_at": "at"}
    bring(path, "orders", fields, zone="Asia/Shanghai")
    placed = dict(Order.objects.values_list("order_id", "placed_at"))
    assert placed == {
        "1": datetime(2026, 2, 1, 0, 30, tzinfo=UTC),
        "2": datetime(2026, 2, 1, 7, 30, tzinfo=UTC),
    }


def test_orders_find_people_by_address(tmp_path: Path) -> None:
    make = {"user_id": "id", "email": "mail"}
    people, orders = tmp_path / "p.csv", tmp_path / "o.csv"
    people.write_text("id,mail\nmei,mei@example.com\n", "utf-8")
    orders.write_text("mail,no,sum\nMEI@example.com,1,5\nbo@example.com,2,6\nnobody,3,7\n", "utf-8")
    bring(people, "profiles", make)
    job = bring(orders, "orders", {"email": "mail", "order_id": "no", "total": "sum"})
    assert counts(job) == (3, 2, 0, 1)
    assert Order.objects.get(order_id="1").profile == Identity.objects.get(value="mei").profile
    assert Profile.objects.count() == 2


def test_events_from_jsonl_with_and_without_a_mapping(tmp_path: Path) -> None:
    calls = [{"type": "track", "event": "Viewed", "userId": "mei", "messageId": "1", "properties": {"a": [1]}}]
    bring(write_lines(tmp_path / "calls.jsonl", calls), "events")
    rows = [{"who": "mei", "what": "Rated", "stars": 5, "at": "2026-03-01"}]
    fields = {"user_id": "who", "event": "what", "timestamp": "at", "properties.stars": "stars"}
    bring(write_lines(tmp_path / "rows.jsonl", rows), "events", fields, historical=False)
    assert dict(Event.objects.values_list("name", "properties")) == {"Viewed": {"a": [1]}, "Rated": {"stars": 5}}
    assert Event.objects.get(name="Rated").live


def test_wrong_rows_fail_alone_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"userId": "mei", "event": "Viewed"}).encode()
    bad = [
        b"{nope",
        b"[]",
        b'{"userId": "x", "event": "a\\u0000"}',
        b'{"userId": "x", "event": "@x"}',
        b'{"event": "y"}',
    ]
    bad += [b'{"userId": "x", "event": "caf\xe9"}', b'{"userId": "x", "event": ' + b"[" * 100_000]
    path.write_bytes(b"\n".join([good, *bad, good.replace(b"mei", b"bo")]) + b"\n")
    job = make_job(path, "events", make_source("file", kind="import"), Options())
    rejects = StringIO()
    job = run_import(job, now=NOW, rejects=rejects)
    assert counts(job) == (9, 2, 0, 7)
    told = [json.loads(line) for line in rejects.getvalue().splitlines()]
    assert [(row["line"], row["code"]) for row in told] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "nul"),
        (5, "reserved_name"),
        (6, "missing_id"),
        (7, "bad_utf8"),
        (8, "too_deep"),
    ]
    assert set(RejectedRow.objects.filter(job=job).values_list("line", flat=True)) == {2, 3, 4, 5, 6, 7, 8}


def test_a_ragged_csv_is_told_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('id,city\n1,Bonn\n2\n\n3,a,b\n4,"two\nlines"\n', "utf-8")
    job = bring(path, "profiles", {"user_id": "id", "city": "city"})
    assert counts(job) == (5, 2, 0, 3)
    assert job.report["codes"] == {"wrong_width": 2, "empty_line": 1}
    assert [row["line"] for row in job.report["first"]] == [3, 4, 5]


def test_a_dry_run_reports_and_stores_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("id,city\n1,Bonn\nnull,Rome\n", "utf-8")
    job = bring(path, "profiles", {"user_id": "id", "city": "city"}, dry_run=True)
    assert counts(job) == (2, 1, 0, 1)
    assert job.report["codes"] == {"illegal_id": 1}
    assert [model.objects.count() for model in (Profile, Event, RejectedRow)] == [0, 0, 0]


def test_every_fault_of_a_mapping_is_told_at_once(tmp_path: Path) -> None:
    path = write_baskets(tmp_path / "b.parquet", 1)
    with pytest.raises(Invalid) as caught:
        make_job(path, "orders", make_source("file"), Options({"store": "nowhere"}, zone="Mars"))
    assert [problem.path for problem in caught.value.problems] == ["map", "map", "zone", "map", "map"]
    with pytest.raises(Invalid, match="no file"):
        open_file(tmp_path / "missing.csv")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(Invalid, match="not Parquet"):
        open_file(tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("a,a\n1,2\n", "utf-8")
    with pytest.raises(Invalid, match="name of its own"):
        open_file(tmp_path / "x.csv")


class Killed(BaseException):
    """Stands for kill -9: no handler of the code under test may see it as an error of its own."""


def test_a_killed_import_goes_on_without_doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PIECE", 7)
    path = write_baskets(tmp_path / "b.parquet", 50)
    source, options = make_source("file", kind="import"), Options(LINES, "basket")
    job = make_job(path, "orders", source, options)
    for point, after in (("ingest.appended", 3), ("import.committed", 1), ("ingest.appended", 1)):
        left = after

        def strike(name: str, point: str = point) -> None:
            nonlocal left
            left -= name == point
            if name == point and not left:
                raise Killed

        install(strike)
        try:
            with pytest.raises(Killed):
                run_import(job, now=NOW)
        finally:
            install(None)
        again = find_unfinished(path, "orders", source, options)
        assert again is not None
        job = again
        assert job.rows_done == 3 * Order.objects.count()
    job = run_import(job, now=NOW)
    assert counts(job) == (150, 50, 0, 0)
    assert (Order.objects.count(), sum(EventStats.objects.values_list("count", flat=True))) == (50, 50)
    assert find_unfinished(path, "orders", source, options) is None


def test_a_changed_file_is_not_gone_on_with(tmp_path: Path) -> None:
    path = write_baskets(tmp_path / "b.parquet", 5)
    job = make_job(path, "orders", make_source("file"), Options(LINES, "basket"))
    write_baskets(path, 6)
    with pytest.raises(Invalid, match="changed"):
        run_import(job, now=NOW)


def test_a_cancelled_job_stops_after_its_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PIECE", 10)
    job = make_job(write_baskets(tmp_path / "b.parquet", 50), "orders", make_source("file"), Options(LINES, "basket"))
    seen: list[Progress] = []

    def cancel(progress: Progress) -> None:
        seen.append(progress)
        ImportJob.objects.filter(pk=job.pk).update(state="cancelled")

    done = run_import(job, now=NOW, progress=cancel)
    assert done.state == "cancelled"
    assert [progress.done for progress in seen] == [30, 60]
    assert done.rows_done == 60


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    path, rejects = tmp_path / "p.csv", tmp_path / "rejects.jsonl"
    path.write_text("id,city\n1,Bonn\nnull,Rome\n", "utf-8")
    out = StringIO()
    said = [str(path), "--kind", "profiles", "--map", "user_id=id", "city=city", "--rejects", str(rejects)]
    call_command("import_facts", *said, stdout=out, verbosity=0)
    assert out.getvalue().startswith("2 rows read: 1 stored, 0 already known, 1 rejected\n  illegal_id: 1\n  line 3:")
    assert json.loads(rejects.read_text())["row"] == '{"id": "null", "city": "Rome"}'
    with pytest.raises(CommandError, match="not of the form"):
        call_command("import_facts", str(path), "--kind", "profiles", "--map", "nonsense")


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of Python's own memory on 1,000 and on 5,000 baskets: what kept the file would take five times."""
    monkeypatch.setattr(files, "ROWS", 512)
    monkeypatch.setattr(room, "PIECE", 200)
    peaks = []
    for number, size in enumerate((1_000, 5_000)):
        path = write_baskets(tmp_path / f"{number}.parquet", size)
        tracemalloc.start()
        bring(path, "orders", {**LINES, "order_id": f"{number}-{{basket}}"}, group_by="basket", dry_run=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 2


def wait_for_the_server() -> None:
    """Until PostgreSQL has noticed that the killed process is gone."""
    with connection.cursor() as cursor:
        for _ in range(100 if connection.vendor == "postgresql" else 0):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.1)


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_for_real_resumes(tmp_path: Path) -> None:
    """kill -9 of the command itself once it has committed something, then the same command with --resume."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and "mode=memory" in name:
        pytest.skip("another process cannot open a database in memory")
    path = write_baskets(tmp_path / "b.parquet", 6_000)
    fields = [f"{ours}={theirs}" for ours, theirs in LINES.items()]
    command = [str(path), "--kind", "orders", "--group-by", "basket", "--map", *fields, "--resume", "-v", "0"]
    url = os.environ.get("DATABASE_URL", "")
    url = f"{url.rpartition('/')[0]}/{name}" if connection.vendor == "postgresql" else f"sqlite:///{name}"
    child = subprocess.Popen(
        [sys.executable, "manage.py", "import_facts", *command], env={**os.environ, "DATABASE_URL": url}
    )
    while child.poll() is None and not Order.objects.exists():
        pass
    child.kill()
    assert child.wait() == -9
    wait_for_the_server()
    assert 0 < Order.objects.count() < 6_000
    call_command("import_facts", *command, stdout=StringIO())
    assert (Order.objects.count(), ImportJob.objects.get().rows_done) == (6_000, 18_000)
    assert sum(EventStats.objects.values_list("count", flat=True)) == 6_000
