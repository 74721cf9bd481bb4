"""manage.py rehearse: one turn of a back-test, in the process that a worker started for it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.rehearsal import child, quiet, scratch
from campaigns.rehearsal.asked import Asked
from common.params import Invalid

EVERY = 1.0  # seconds between two words about the progress


class Command(BaseCommand):
    help = "One turn of a back-test; started by a worker, not by hand."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SCRATCH:
            raise CommandError("rehearsals are started from a journey's page; there is nothing to do by hand here")
        os.nice(10)
        asked, path = Asked.read(json.load(sys.stdin)), Path(settings.SCRATCH)
        quiet.quieten_channels()
        quiet.close_network()
        if not child.is_begun(asked):
            scratch.open_store(path, lambda: call_command("migrate", verbosity=0))
            child.begin(asked)
        said = Said(self)
        try:
            found = child.go_on(asked, seconds=options["seconds"], say=said)
        except Invalid as error:
            said.line({"problems": [str(problem) for problem in error.problems]})
        else:
            said.line({"turn": "over"} if found is None else {"result": found})


class Said:
    """Lines to the worker: progress at most once a second."""

    def __init__(self, command: Command) -> None:
        self.command, self.last = command, 0.0

    def __call__(self, told: dict[str, Any]) -> None:
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            self.line(told)

    def line(self, told: dict[str, Any]) -> None:
        self.command.stdout.write(json.dumps(told))
        self.command.stdout.flush()
