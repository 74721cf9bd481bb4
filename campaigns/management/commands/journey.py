"""`manage.py journey`: check, compare, export and install journeys as text.

Ends with 0 when all is well, 1 when something was found (errors of a check, differences), 2 when it could not be
done (no such file or journey, wrong use), 3 when values are missing that the text asks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import get_language

from campaigns import bundles
from campaigns.asks import Unanswered
from campaigns.diffing import diff, flow_of
from campaigns.install import install, try_out
from campaigns.linting import find_all
from campaigns.lints import Finding, Severity
from campaigns.models import Journey
from campaigns.review import Forbidden
from common.clock import now
from common.params import Invalid

FOUND, TROUBLE, ASKED = 1, 2, 3


class Command(BaseCommand):
    help = "Check, compare, export or install journeys as text, named by FILE, KEY (its draft) or KEY@VERSION."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        check = verbs.add_parser("check", help="say everything that is wrong with a journey, each with its path")
        check.add_argument("what", help="FILE or KEY")
        check.add_argument("--strict", action="store_true", help="warnings count as errors")
        compare = verbs.add_parser("diff", help="say what differs between two journeys, in sentences")
        compare.add_argument("old", help="FILE, KEY or KEY@VERSION")
        compare.add_argument("new", help="FILE, KEY or KEY@VERSION")
        out = verbs.add_parser("export", help="write a journey with all it needs as text")
        out.add_argument("what", help="KEY or KEY@VERSION")
        out.add_argument("--no-words", action="store_true", help="templates by their keys alone")
        out.add_argument("--out", help="the file to write; without it, standard output")
        bring = verbs.add_parser("install", help="make what is missing; safe to repeat")
        bring.add_argument("file")
        bring.add_argument(
            "--dry-run", action="store_true", help="say what would be made, and what is wrong; make nothing"
        )
        bring.add_argument("--publish", action="store_true", help="publish templates and journey, if they are new")
        bring.add_argument("--update", action="store_true", help="replace the draft of a journey that is there")
        for one in (check, bring):
            one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an answer")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except Unanswered as error:
            raise CommandError("\n".join(map(str, error.problems)), returncode=ASKED) from None
        except Invalid as error:
            raise CommandError("\n".join(map(str, error.problems)), returncode=FOUND) from None
        except Forbidden as error:
            raise CommandError(str(error), returncode=FOUND) from None

    def _check(self, options: dict[str, Any]) -> None:
        if _is_file(options["what"]):
            _items, findings = try_out(_read(options["what"]), now=now(), answers=_answers(options["set"]))
        else:
            findings = find_all(_journey(options["what"]))
        self._tell(findings)
        worst = {Severity.ERROR} | ({Severity.WARNING} if options["strict"] else set())
        if any(one.severity in worst for one in findings):
            raise CommandError("this journey cannot be published as it is", returncode=FOUND)

    def _diff(self, options: dict[str, Any]) -> None:
        changes = diff(_flow(options["old"]), _flow(options["new"]))
        for change in changes:
            self.stdout.write(change.say(get_language() or "en"))
        if changes:
            raise CommandError(f"{len(changes)} differences", returncode=FOUND)

    def _export(self, options: dict[str, Any]) -> None:
        key, number = _split(options["what"])
        try:
            text = bundles.dump(bundles.export(_journey(key), number=number, words=not options["no_words"]))
        except KeyError:
            raise CommandError(f"journey '{key}' has no version {number}", returncode=TROUBLE) from None
        if options["out"]:
            Path(options["out"]).write_text(text, encoding="utf-8")
        else:
            self.stdout.write(text, ending="")

    def _install(self, options: dict[str, Any]) -> None:
        data, answers = _read(options["file"]), _answers(options["set"])
        if options["dry_run"]:
            items, findings = try_out(data, now=now(), answers=answers)
            for item in items:
                self.stdout.write(f"{'found ' if item.there else 'to make'} {item.kind} {item.key}")
            self._tell(findings)
            if any(one.severity == Severity.ERROR for one in findings):
                raise CommandError("this journey cannot be published as it is", returncode=FOUND)
            return
        report = install(data, now=now(), publishing=options["publish"], update=options["update"], answers=answers)
        for kind, key in report.made:
            self.stdout.write(f"made   {kind} {key}")
        for kind, key in report.found:
            self.stdout.write(f"found  {kind} {key}")
        if report.changed:
            self.stdout.write("changed the journey's draft")

    def _tell(self, findings: list[Finding]) -> None:
        for one in findings:
            self.stdout.write(f"{one.severity.value}: {one} [{one.lint}]")


def _is_file(name: str) -> bool:
    return name.endswith(".json") or "/" in name or Path(name).is_file()


def _read(name: str) -> dict[str, Any]:
    try:
        return bundles.read(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name}: {error}", returncode=TROUBLE) from None
    except Invalid as error:
        raise CommandError(f"{name}: {error}", returncode=TROUBLE) from None


def _journey(key: str) -> Journey:
    row = Journey.objects.select_related("campaign").filter(key=key).first()
    if row is None:
        raise CommandError(f"there is no journey '{key}'", returncode=TROUBLE)
    return row


def _split(name: str) -> tuple[str, int | None]:
    key, at, number = name.partition("@")
    if at and not number.isdigit():
        raise CommandError(f"'{name}' is not KEY@VERSION", returncode=TROUBLE)
    return key, int(number) if at else None


def _flow(name: str) -> dict[str, Any]:
    if _is_file(name):
        journey = _read(name).get("journey")
        graph = journey.get("graph") if isinstance(journey, dict) else None
        if not isinstance(graph, dict):
            raise CommandError(f"{name}: has no journey with a graph", returncode=TROUBLE)
        return graph
    key, number = _split(name)
    try:
        return flow_of(_journey(key), number)
    except KeyError:
        raise CommandError(f"journey '{key}' has no version {number}", returncode=TROUBLE) from None


def _answers(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise CommandError(f"'{wrong[0]}' is not KEY=VALUE", returncode=TROUBLE)
    return dict(pair.split("=", 1) for pair in pairs)
