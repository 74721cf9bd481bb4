"""suppressions import|export: lists of addresses that get nothing more, as CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.audit import record
from common.clock import now as clock_now
from messaging.suppressions import BadFile, export_list, import_list


class Command(BaseCommand):
    help = "Take or give a suppression list as CSV (channel,address,reason,note or channel,digest,…)."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        taking = verbs.add_parser("import", help="suppress what the file names")
        taking.add_argument("file", help="a CSV file, or - for standard input")
        taking.add_argument("--dry-run", action="store_true", help="only count")
        giving = verbs.add_parser("export", help="write the list to standard output")
        giving.add_argument("--addresses", action="store_true", help="the addresses we still have, by name")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "export":
            for line in export_list(addresses=options["addresses"]):
                self.stdout.write(line, ending="")
            return
        self._import(options["file"], dry=options["dry_run"])

    def _import(self, name: str, *, dry: bool) -> None:
        now = clock_now()
        try:
            if name == "-":
                taken = import_list(sys.stdin, now=now, dry=dry)
            else:
                with Path(name).open(encoding="utf-8-sig", newline="") as lines:
                    taken = import_list(lines, now=now, dry=dry)
        except (BadFile, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from error
        for number, why in taken.rejects:
            self.stderr.write(f"line {number}: {why}")
        said = {"new": taken.new, "known": taken.known, "refused": taken.refused}
        if not dry:
            record("suppression.import", "suppressions", now=now, detail=said)
        self.stdout.write(f"new {taken.new}, known {taken.known}, refused {taken.refused}")
