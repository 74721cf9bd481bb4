"""manage.py doctor: what is wrong and how to mend it."""

from __future__ import annotations

import getpass
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from common import clock
from config.doctor import examine
from config.instance import adopt


class Command(BaseCommand):
    help = "Say what is wrong with this installation and how to mend it; exit code 1 when something is red."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--adopt", action="store_true", help="this copied database is ours now: lift the fence")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["adopt"] and adopt(now=clock.now(), by=getpass.getuser()):
            self.stdout.write("This database is ours now; the fence's pause is lifted.")
        findings = examine(slow=True)
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False, indent=2))
        else:
            for finding in findings:
                self.stdout.write(finding.line())
            self.stdout.write("" if findings else "All is well.")
        if any(finding.level == "red" for finding in findings):
            raise SystemExit(1)
