"""manage.py sync_model: a host project's own models as a source, what is new since the last run (docs/ingest.md)."""

from __future__ import annotations

import json
import tomllib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from common.clock import now as clock
from common.params import Invalid, Problem
from segments.hosts.mapping import HostModel
from segments.hosts.sync import Changed, Overtaken, Synced, sync


class Command(BaseCommand):
    help = "Read users or orders of this project's own models, by a mapping in a TOML or JSON file or in the settings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="*", metavar="KEY", help="which mappings; all of them by default")
        parser.add_argument("--file", type=Path, help="TOML or JSON: one table for each key (else MODEL_SYNCS)")
        parser.add_argument("--dry-run", action="store_true", help="check every row, store nothing")
        parser.add_argument("--again", action="store_true", help="read everything, not only what is new")
        parser.add_argument("--limit", type=int, help="stop after so many rows")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            mappings = read_mappings(options["file"])
            for key in options["keys"] or sorted(mappings):
                if key not in mappings:
                    known = ", ".join(sorted(mappings)) or "none"
                    raise Invalid([Problem("key", f"there is no mapping '{key}' (known: {known})")])
                self._run(key, HostModel.read(mappings[key]), options)
        except Invalid as invalid:
            raise CommandError("\n".join(map(str, invalid.problems))) from None
        except (Changed, Overtaken) as error:
            raise CommandError(str(error)) from None

    def _run(self, key: str, mapping: HostModel, options: dict[str, Any]) -> None:
        def tell(done: Synced) -> None:
            if options["verbosity"] > 1:
                self.stderr.write(f"{key}: {done.done} rows")

        done = sync(
            key,
            mapping,
            now=clock(),
            dry_run=options["dry_run"],
            again=options["again"],
            limit=options["limit"],
            tell=tell,
        )
        verb = "would be stored" if options["dry_run"] else "stored"
        self.stdout.write(
            f"{key}: {done.done} rows read, {done.stored} {verb}, {done.known} already known, {done.rejected} rejected"
        )


def read_mappings(path: Path | None) -> dict[str, Any]:
    """Mappings by key. Raises Invalid for a file that cannot be read."""
    if path is None:
        return dict(getattr(settings, "MODEL_SYNCS", {}))
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise Invalid([Problem("file", str(error)[:200])]) from None
    if not isinstance(found, dict):
        raise Invalid([Problem("file", "this is a table for each key")])
    return found
