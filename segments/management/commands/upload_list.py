"""manage.py upload_list: people from a file put on a list, taken off it, or made the whole of it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common import audit
from common.clock import now as clock
from common.params import Invalid
from segments.lists import NAMES, Refusal, upload
from segments.models.groups import StaticList

SHOWN = 5


class Command(BaseCommand):
    help = f"Put the people of a CSV, JSONL or Parquet file on a list; columns: {', '.join(NAMES)} (docs/segments.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("list", help="key of the list; made if missing")
        parser.add_argument("file", type=Path)
        parser.add_argument("--action", choices=["add", "remove", "replace"], default="add")
        parser.add_argument("--name", default="", help="name of a list that is made")
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="write refused rows there, one JSON a line")

    def handle(self, *args: Any, **options: Any) -> None:
        key, now = options["list"], clock()
        refused: list[Refusal] = []
        with ExitStack() as stack:
            rejects = (
                stack.enter_context(options["rejects"].open("a", encoding="utf-8")) if options["rejects"] else None
            )

            def refuse(one: Refusal) -> None:
                if len(refused) < SHOWN:
                    refused.append(one)
                if rejects is not None:
                    rejects.write(json.dumps(asdict(one), ensure_ascii=False, default=str) + "\n")

            try:
                target, _ = StaticList.objects.get_or_create(key=key, defaults={"name": options["name"] or key})
                done = upload(target, options["file"], action=options["action"], now=now, refuse=refuse)
            except Invalid as invalid:
                raise CommandError("\n".join(map(str, invalid.problems))) from None
        audit.record(f"list.{options['action']}", f"list:{key}", now=now, detail=asdict(done))
        self.stdout.write(
            f"{done.rows} rows read: {done.added} people added, {done.removed} taken off, {done.known} as they were, "
            f"{done.refused} rows rejected"
        )
        for one in refused:
            self.stdout.write(f"  line {one.line}: {one.reason}")
