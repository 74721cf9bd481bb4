"""manage.py import_facts: files of people, orders and events from the command line, with a progress bar."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from common.clock import now as clock
from common.params import Invalid
from segments.imports.options import Options, read_map, read_since
from segments.imports.run import Progress, find_unfinished, make_job, run_import
from segments.models import ImportJob, Source

WIDTH = 30


class Command(BaseCommand):
    help = "Import people, orders or events from CSV (UTF-8, GB18030), JSONL or Parquet (docs/ingest.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--kind", required=True, choices=ImportJob.Kind.values)
        parser.add_argument("--map", nargs="+", default=[], metavar="FIELD=COLUMN", help='or FIELD=":constant"')
        parser.add_argument("--source", default="import", help="key of the source; made if missing")
        parser.add_argument("--group-by", default="", metavar="COLUMN", help="lines of one order, which are neighbours")
        parser.add_argument("--shift-days", type=int, default=0, metavar="N", help="move every time by whole days")
        parser.add_argument("--zone", default=settings.WORKSPACE_ZONE, help="zone of times that carry none")
        parser.add_argument("--dry-run", action="store_true", help="check every row, store nothing")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--live", action="store_true", help="facts may start journeys")
        when.add_argument("--historical", action="store_true", help="facts start nothing (the default)")
        when.add_argument("--live-since", metavar="ISO", help="facts from then on may start journeys, older ones not")
        parser.add_argument("--resume", action="store_true", help="go on with the last unfinished import of this file")
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="write refused rows there, one JSON a line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            job = self._job(options)
            with ExitStack() as stack:
                target = options["rejects"]
                rejects = stack.enter_context(target.open("a", encoding="utf-8")) if target else None
                bar = Bar(quiet=options["verbosity"] == 0)
                job = run_import(job, now=clock(), progress=bar, rejects=rejects)
                bar.end()
        except Invalid as invalid:
            raise CommandError("\n".join(map(str, invalid.problems))) from None
        self._tell(job)

    def _job(self, options: dict[str, Any]) -> ImportJob:
        said = Options(
            fields=read_map(options["map"]),
            group_by=options["group_by"],
            shift_days=options["shift_days"],
            zone=options["zone"],
            live_since=read_since(options["live_since"]) if options["live_since"] else None,
        )
        path = options["file"].resolve()
        source, _ = Source.objects.get_or_create(
            key=options["source"], defaults={"name": options["source"].title(), "kind": Source.Kind.IMPORT}
        )
        if options["resume"] and path.is_file() and (job := find_unfinished(path, options["kind"], source, said)):
            return job
        return make_job(path, options["kind"], source, said, historical=not options["live"], dry_run=options["dry_run"])

    def _tell(self, job: ImportJob) -> None:
        verb = "would be stored" if job.dry_run else "stored"
        self.stdout.write(
            f"{job.rows_done} rows read: {job.rows_stored} {verb}, {job.rows_known} already known, "
            f"{job.rows_rejected} rejected"
        )
        for code, count in sorted(job.report.get("codes", {}).items()):
            self.stdout.write(f"  {code}: {count}")
        for row in job.report.get("first", [])[:5]:
            self.stdout.write(f"  line {row['line']}: {row['path']} {row['message']}")


class Bar:
    """A progress bar on stderr: drawn at most ten times a second on a terminal, every ten seconds elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.drawn = 0.0

    def __call__(self, progress: Progress) -> None:
        moment = time.monotonic()
        if self.quiet or moment - self.drawn < (0.1 if self.terminal else 10):
            return
        self.drawn = moment
        end = "\r" if self.terminal else "\n"
        print(line_of(progress, moment - self.started), end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the bar's line."""
        if self.terminal and not self.quiet:
            print(file=sys.stderr)


def line_of(progress: Progress, seconds: float) -> str:
    """ "[#####     ] 1,000 of 2,000 rows, 500/s, 3 rejected" """
    speed = f"{progress.done / seconds:,.0f}/s" if seconds > 0.5 else "…"
    total = max(progress.total or 0, progress.done)
    filled = WIDTH * progress.done // total if total else 0
    bar = "#" * filled + " " * (WIDTH - filled)
    of = f" of {progress.total:,}" if progress.total else ""
    return f"[{bar}] {progress.done:,}{of} rows, {speed}, {progress.rejected:,} rejected"
