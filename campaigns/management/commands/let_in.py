"""manage.py let_in: people from a file into a live journey."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.enrol import NotLive
from campaigns.letting_in import let_in
from campaigns.models import Journey
from common import audit
from common.clock import now as clock
from common.params import Invalid
from segments.lists import NAMES, Refusal

SHOWN = 5


class Command(BaseCommand):
    help = f"Let the people of a CSV, JSONL or Parquet file into a journey; columns {', '.join(NAMES)}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("journey", help="key of a live journey")
        parser.add_argument("file", type=Path)
        parser.add_argument("--reason", required=True, help="why, for the audit log")
        parser.add_argument(
            "--key", default="", help="tells this occasion from others; the file's content unless given"
        )
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="write refused rows there, one JSON a line")

    def handle(self, *args: Any, **options: Any) -> None:
        now, refused = clock(), list[Refusal]()
        journey = Journey.objects.filter(key=options["journey"]).first()
        if journey is None:
            raise CommandError(f"there is no journey '{options['journey']}'")
        with ExitStack() as stack:
            file = options["rejects"]
            rejects = stack.enter_context(file.open("a", encoding="utf-8")) if file else None

            def refuse(one: Refusal) -> None:
                if len(refused) < SHOWN:
                    refused.append(one)
                if rejects is not None:
                    rejects.write(json.dumps(asdict(one), ensure_ascii=False, default=str) + "\n")

            try:
                done = let_in(journey, options["file"], now=now, refuse=refuse, key=options["key"])
            except NotLive as error:
                raise CommandError(str(error)) from None
            except Invalid as invalid:
                raise CommandError("\n".join(map(str, invalid.problems))) from None
        detail = {"file": options["file"].name, **asdict(done)}
        audit.record("journey.let_in", f"journey:{journey.key}", now=now, reason=options["reason"], detail=detail)
        self.stdout.write(
            f"{done.rows} rows read: {done.entered} people entered, {done.known} had before, {done.refused} refused"
        )
        for one in refused:
            self.stdout.write(f"  line {one.line}: {one.reason}")
