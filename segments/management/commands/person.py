"""manage.py person: export, erase, merge and undo, for one person at a time (docs/privacy.md)."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.clock import now as clock
from segments.erase import erase, finish
from segments.export import note, pieces, write_json, write_zip
from segments.merge import TwoKnownPeople, merge
from segments.models import Profile
from segments.people import NobodyFound, find_person
from segments.unmerge import undo

AGAIN = 2.0  # seconds between looks at messages on the wire


class Command(BaseCommand):
    help = "Export, erase, merge or un-merge one person, named by public id, by user_id:… or by any other name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        out = verbs.add_parser("export", help="everything we hold about a person, as JSON or ZIP")
        out.add_argument("person")
        out.add_argument("--out", type=Path, metavar="FILE", help="a name that ends in .zip gets files of JSON lines")
        gone = verbs.add_parser("erase", help="remove the person from every table; it cannot be undone")
        which = gone.add_mutually_exclusive_group(required=True)
        which.add_argument("person", nargs="?", default="")
        which.add_argument("--unfinished", action="store_true", help="erase what has come since, or had to wait")
        gone.add_argument("--yes", action="store_true", help="do not ask")
        gone.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for messages on the wire")
        join = verbs.add_parser("merge", help="one profile becomes part of another")
        join.add_argument("person", help="who becomes part of the other")
        join.add_argument("into")
        join.add_argument("--reason", required=True)
        join.add_argument("--force", action="store_true", help="even if both have a user id")
        back = verbs.add_parser("undo", help="take a merge back")
        back.add_argument("person", help="the public id of who became part of another")
        back.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options.get("unfinished"):
                return self._finish()
            person = find_person(options["person"])
            getattr(self, f"_{options['verb']}")(person, options)
        except (NobodyFound, TwoKnownPeople, ValueError) as error:
            raise CommandError(str(error)) from None

    def _export(self, person: Profile, options: dict[str, Any]) -> None:
        now, path = clock(), options["out"]
        if path is None:
            rows = 0
            for piece, n in pieces(person, now=now):
                self.stdout.write(piece, ending="")
                rows += n
        elif path.suffix == ".zip":
            with path.open("wb") as packed:
                rows = write_zip(person, packed, now=now)
        else:
            with path.open("w", encoding="utf-8") as plain:
                rows = write_json(person, plain, now=now)
        note(person, now=now, actor="command")
        self.stderr.write(f"{rows} rows")

    def _erase(self, person: Profile, options: dict[str, Any]) -> None:
        if not options["yes"] and not _agrees(f"Erase {person.public_id}? This cannot be undone. Type yes: "):
            raise CommandError("nothing was erased")
        until = time.monotonic() + options["wait"]
        done = erase(person, now=clock(), actor="command")
        while done.waiting and time.monotonic() < until:
            time.sleep(AGAIN)
            done = erase(person, now=clock(), actor="command")
        if done.waiting:
            raise CommandError("messages are on their way; the rest is erased: ask again in a few minutes")
        self.stdout.write(f"erased: {sum(done.rows.values())} rows")

    def _finish(self) -> None:
        people, waiting = finish(clock(), actor="command")
        self.stdout.write(f"{people} people looked at, {waiting} rows still wait")

    def _merge(self, person: Profile, options: dict[str, Any]) -> None:
        into = find_person(options["into"])
        merge(person, into, now=clock(), actor="command", reason=options["reason"], force=options["force"])
        self.stdout.write(f"{person.public_id} is now part of {into.public_id}")

    def _undo(self, person: Profile, options: dict[str, Any]) -> None:
        undo(person, now=clock(), actor="command", reason=options["reason"])
        self.stdout.write(f"{person.public_id} stands alone again")


def _agrees(question: str) -> bool:
    return sys.stdin.isatty() and input(question).strip().lower() == "yes"
