"""Every bad file has an exact answer: refused with all its problems, or read with a line and a code for each bad row."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from common.params import Invalid
from segments.imports.options import Options
from segments.imports.run import make_job, run_import
from segments.models import Event, ImportJob, Profile, RejectedRow
from tests.people import NOW, make_source
from tests.segments.imports.hostile import PEOPLE, PLAIN, READ, REFUSED, Told, spoilt

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("suffix", "raw", "problems"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_files_that_are_refused_as_a_whole(suffix: str, raw: bytes, problems: list[str], tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(raw)
    with pytest.raises(Invalid) as caught:
        make_job(path, "profiles", make_source("file", kind="import"), Options(fields=PEOPLE))
    found = [str(problem) for problem in caught.value.problems]
    assert [said[: len(start)] for said, start in zip(found, problems, strict=True)] == problems
    assert not ImportJob.objects.exists()
    with pytest.raises(CommandError):
        call_command("import_facts", str(path), "--kind", "profiles", "--map", "user_id=id", "city=city", verbosity=0)


@pytest.mark.parametrize(
    ("suffix", "raw", "kind", "fields", "stored", "refused"), [row[1:] for row in READ], ids=[row[0] for row in READ]
)
def test_files_that_are_read(
    suffix: str, raw: bytes, kind: str, fields: dict[str, str], stored: int, refused: Told, tmp_path: Path
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(raw)
    source = make_source("file", kind="import")
    for first in (True, False):
        rejects = io.StringIO()
        job = run_import(make_job(path, kind, source, Options(fields=fields)), now=NOW, rejects=rejects)
        told = [json.loads(line) for line in rejects.getvalue().splitlines()]
        assert [(row["line"], row["code"]) for row in told] == refused
        assert all(row["message"] for row in told)
        assert job.state == "done"
        if first:
            assert (job.rows_stored, job.rows_rejected) == (stored, len(refused))
            assert job.rows_done == stored + job.rows_known + len(refused)
        else:
            assert (job.rows_stored, job.rows_known) == (0, job.rows_done - len(refused))
        assert Event.objects.count() == stored
    assert RejectedRow.objects.count() == 2 * len(refused)


def test_parquet_whose_pages_lie_fails_with_a_reason_and_keeps_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    path.write_bytes(spoilt(PLAIN))
    with pytest.raises(CommandError, match="cannot be read on"):
        call_command("import_facts", str(path), "--kind", "profiles", "--map", "user_id=id", "city=city", verbosity=0)
    job = ImportJob.objects.get()
    assert (job.state, job.rows_done, Profile.objects.count()) == ("failed", 0, 0)
    assert "cannot be read on" in job.error


def test_formulas_are_kept_as_they_came(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('id,city\n1,=1+1\n2,"+cmd|x"\n')
    run_import(make_job(path, "profiles", make_source("file"), Options(fields=PEOPLE)), now=NOW)
    assert set(Profile.objects.values_list("city", flat=True)) == {"=1+1", "+cmd|x"}


def test_rejects_are_json_in_which_no_spreadsheet_finds_a_formula(tmp_path: Path) -> None:
    path, rejects = tmp_path / "p.csv", tmp_path / "rejects.jsonl"
    path.write_text("id,city\nnull,=1+1\n")
    said: list[Any] = [str(path), "--kind", "profiles", "--map", "user_id=id", "city=city"]
    call_command("import_facts", *said, "--rejects", str(rejects), stdout=io.StringIO(), verbosity=0)
    assert rejects.read_text().startswith('{"line": 2, ')
