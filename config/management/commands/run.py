"""manage.py run: everything on one machine."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from common import clock
from config import run
from config.beat import sync_timetable
from config.instance import ensure_instance, fence


class Command(BaseCommand):
    help = "Run web, worker and beat on this machine, and start again what dies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--threads", type=int, help="threads of the web server (8; fewer on few cores)")
        parser.add_argument("--concurrency", type=int, default=2, help="processes of the worker")
        parser.add_argument("--no-migrate", action="store_true", help="leave the schema as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        taken = run.ports_taken(options["host"], {"--port": options["port"]}, command="make run")
        if taken:
            raise CommandError(taken)
        if not options["no_migrate"]:
            call_command("migrate", verbosity=0)
        prepare()
        parts = run.parts(
            host=options["host"], port=options["port"], threads=options["threads"], concurrency=options["concurrency"]
        )
        self.stdout.write(f"Perennial is at http://{options['host']}:{options['port']}/admin/ (Ctrl-C ends it)")
        run.Supervisor(parts, say=self.stderr.write).run()


def prepare() -> None:
    """Write the timetable and the stamp, raise the fence if it is needed, and let the database go."""
    ensure_instance()
    fence(now=clock.now())
    sync_timetable()
    connections.close_all()
