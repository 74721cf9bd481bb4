"""manage.py sync_timetable: bring our lines of the timetable in line with the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.beat import sync_timetable


class Command(BaseCommand):
    help = "Write our own lines of the timetable; operators' lines are never touched."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in sync_timetable() or ["nothing to do"]:
            self.stdout.write(line)
