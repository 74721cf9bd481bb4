"""`manage.py recipe`: list the ready-made journeys, or install one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.install import UnknownRecipe, install_recipe, read_recipe, recipe_keys
from common.clock import now
from common.params import Invalid


class Command(BaseCommand):
    help = "List recipes, or install one: segment, templates, goal, rewards and journey."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", nargs="?", help="recipe to install; without it, all are listed")
        parser.add_argument("--draft", action="store_true", help="leave templates and journey unpublished")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="answer what the recipe asks"
        )
        parser.add_argument("--enter-present", action="store_true", help="people already in the segment enter too")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["key"]:
            for key in recipe_keys():
                recipe = read_recipe(key)
                self.stdout.write(f"{key:16} {recipe['name']} · {recipe['name_zh']}\n{'':16} {recipe['about']}")
            return
        wrong = [pair for pair in options["set"] if "=" not in pair]
        if wrong:
            raise CommandError(f"'{wrong[0]}' is not KEY=VALUE")
        try:
            report = install_recipe(
                options["key"],
                now=now(),
                publishing=not options["draft"],
                enter_present=options["enter_present"],
                answers=dict(pair.split("=", 1) for pair in options["set"]),
            )
        except UnknownRecipe as error:
            raise CommandError(str(error)) from None
        except Invalid as error:
            raise CommandError("\n".join(map(str, error.problems))) from None
        for kind, key in report.made:
            self.stdout.write(f"made   {kind} {key}")
        for kind, key in report.found:
            self.stdout.write(f"found  {kind} {key}")
