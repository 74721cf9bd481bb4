"""manage.py run_once: every line of the timetable once, in this process and without a broker."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.ticks import once
from config.beat import TIMETABLE, enabled_intervals, name_of

# As facts flow: what is known, who is in which group, who walks on, what is answered, what goes out; then the rest.
FLOW = (
    "count-missions",
    "score",
    "judge",
    "refresh",
    "react",
    "schedule",
    "advance",
    "listen",
    "transfer",
    "credit",
    "sweep",
    "send",
)


class Command(BaseCommand):
    help = "Run each line of the timetable that is switched on once in this process; exit code 1 when one failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lines", nargs="*", metavar="LINE", help=f"only these: {', '.join(in_order())}")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = options["lines"] or in_order()
        unknown = sorted(set(chosen) - TIMETABLE.keys())
        if unknown:
            raise CommandError(f"no such line: {', '.join(unknown)} (known: {', '.join(in_order())})")
        intervals = enabled_intervals()
        with ExitStack() as lines:  # one that fails does not keep the others from running, and is raised at the end
            for key in reversed([key for key in in_order() if key in chosen]):
                lines.callback(self._run, key, intervals.get(name_of(key)))

    def _run(self, key: str, every: int | None) -> None:
        """One line in its slot, so that a beat which runs as well does not do it again."""
        if every is None:
            self.stdout.write(f"{key}: switched off")
            return
        with once(name_of(key), every) as tick:
            if tick is None:
                self.stdout.write(f"{key}: has run in this slot of {every} s")
                return
            result = _task(TIMETABLE[key].task).run()
            tick.result = result if isinstance(result, dict) else {}
        self.stdout.write(f"{key}: {json.dumps(tick.result)}")


def in_order() -> list[str]:
    """The lines of the timetable in the order in which one feeds the next."""
    return [*FLOW, *(key for key in TIMETABLE if key not in FLOW)]


def _task(name: str) -> Any:
    from config.celery import app

    app.loader.import_default_modules()
    return app.tasks[name]
