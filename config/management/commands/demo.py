"""manage.py demo: a year of a real shop, four live journeys and a mailbox, on this machine alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from common import clock
from config import run
from config.checks import is_public
from config.management.commands.run import prepare

FAST_DAY = 60


class Command(BaseCommand):
    help = "Set up the demo if that was not done yet, then run everything with a local mailbox."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--smtp-port", type=int, default=2525)
        parser.add_argument("--shoppers", action="store_true", help="simulated recipients open, click and order")
        parser.add_argument("--fast", action="store_true", help=f"a day of a journey's waits lasts {FAST_DAY} s")
        parser.add_argument("--no-run", action="store_true", help="set up only")

    def handle(self, *args: Any, **options: Any) -> None:
        from config.demo.data import MissingData
        from config.demo.setup import set_up

        if is_public():
            raise CommandError("the demo has a known password and shows all mail: it runs at a local PUBLIC_URL only")
        taken = "" if options["no_run"] else _taken(options)
        if taken:
            raise CommandError(taken)
        self.stdout.write("Setting up the demo; the first time this takes a few minutes.")
        call_command("migrate", verbosity=0)
        try:
            demo = set_up(now=clock.now(), say=self.stdout.write, smtp_port=options["smtp_port"])
        except MissingData as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{demo.people:,} people, {demo.orders:,} orders.")
        if not options["no_run"]:
            self.start(options, demo.write_key)

    def start(self, options: dict[str, Any], write_key: str) -> None:
        """Hand over to the supervisor, with the mailbox and, if wanted, the shoppers."""
        prepare()
        connections.close_all()
        os.environ["PERENNIAL_DEMO"] = "1"
        if options["fast"]:
            os.environ.setdefault("PERENNIAL_DAY_SECONDS", str(FAST_DAY))
        base = f"http://127.0.0.1:{options['port']}"
        box = str(Path(settings.VAR) / "mailbox")
        parts = [
            run.Part("mailbox", [sys.executable, "-m", "config.demo.mailbox", str(options["smtp_port"]), box]),
            *run.parts(host="127.0.0.1", port=options["port"]),
        ]
        if options["shoppers"]:
            parts.append(run.Part("shoppers", [sys.executable, "-m", "config.demo.shoppers", base, write_key, box]))
        self.stdout.write(WELCOME.format(base=base, key=write_key))
        self.stdout.write("Simulated shoppers are opening, clicking and ordering.\n" if options["shoppers"] else "")
        self.stdout.flush()
        run.Supervisor(parts, say=self.stderr.write).run()


def _taken(options: dict[str, Any]) -> str:
    ports = {"--port": options["port"], "--smtp-port": options["smtp_port"]}
    also = [f"--{name}" for name in ("shoppers", "fast") if options[name]]
    return run.ports_taken("127.0.0.1", ports, command="make demo", also=also)


WELCOME = """
  Admin     {base}/admin/       log in as admin, password admin (this demo only)
  Mailbox   {base}/mailbox/     every mail that is sent ends here
  Write key {key}   for any Segment-compatible client pointed at {base}

Ctrl-C ends it; run it again to go on where it stopped.
"""
