"""manage.py learn_events: properties of the events that are in the log already, or the report on one of them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from segments.event_schema import learn_from_log, report


class Command(BaseCommand):
    help = "Learn the properties of events from the log; with an event's name, report on it instead."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("event", nargs="?", default="")
        parser.add_argument("--after", type=int, default=0, metavar="ID", help="only facts with a larger id")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["event"]:
            self.stdout.write(f"{learn_from_log(after=options['after'])} facts read")
            return
        for row in report(options["event"]):
            mark = "!" if row.mixed else " "
            kinds, first, last = ", ".join(row.types), f"{row.first_seen_at:%Y-%m-%d}", f"{row.last_seen_at:%Y-%m-%d}"
            self.stdout.write(f"{mark} {row.key}: {kinds} ({first} to {last})")
