"""The arrows of the house hold, and each rule is shown to notice when it is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

from tests.architecture import APPS, HEAVY, RULES, layer_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule: str) -> None:
    assert RULES[rule](ROOT) == []


BROKEN = {
    "apps_point_down": [
        ("segments/refresh.py", "from messaging.outbox import queue", "messaging is above segments"),
        ("common/money.py", "def f():\n    import segments.models", "segments is above common"),
        (
            "messaging/links.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from campaigns.models import Journey",
            "campaigns is above messaging",
        ),
        ("campaigns/engine.py", "from tests.people import make_profile", "tests is above campaigns"),
    ],
    "layers_point_down": [
        ("segments/models/people.py", "from segments.merge import merge", "a models must not import a verb"),
        ("campaigns/steps/send.py", "from campaigns.engine import advance", "a plug-in must not import a verb"),
        ("campaigns/engine.py", "from .tasks import react", "a verb must not import a edge"),
        ("messaging/channels/email.py", "from messaging.tasks import send", "a plug-in must not import a edge"),
        ("messaging/outbox/send.py", "from segments.api import auth", "must not import an edge of another app"),
    ],
    "plugins_stand_alone": [
        ("campaigns/steps/send.py", "from campaigns.steps import wait", "do not know each other"),
        ("campaigns/steps/send.py", "from .wait import Wait", "do not know each other"),
        ("campaigns/steps/send.py", "from messaging.channels.email import Email", "do not know each other"),
        (
            "segments/rules/operators/trait.py",
            "from segments.rules.operators.orders import Sum",
            "do not know each other",
        ),
    ],
    "only_edges_know_drf_and_celery": [
        ("segments/ingest/run.py", "from rest_framework import serializers", "for edges only"),
        ("campaigns/engine.py", "def f():\n    from celery import shared_task", "for edges only"),
        ("messaging/outbox/send.py", "def f(task):\n    task.apply_async()", "enqueues"),
    ],
    "nobody_below_reads_the_clock": [
        ("campaigns/steps/wait.py", "import datetime\nx = datetime.datetime.now()", "reads the clock"),
        (
            "campaigns/engine.py",
            "from django.utils import timezone\ndef f():\n    return timezone.now()",
            "reads the clock",
        ),
        ("campaigns/engine.py", "from django.utils.timezone import now", "`now` is an argument"),
        ("segments/models/people.py", "import time\nclock = time.time", "reads the clock"),
        ("segments/models/people.py", "from datetime import date\nd = date.today()", "reads the clock"),
        ("messaging/gates/quiet.py", "from common import clock\nx = clock.now()", "reads the clock"),
    ],
    "common_is_the_ground": [
        ("common/meters.py", "import structlog", "not ground"),
        ("common/text.py", "def f():\n    import celery", "not ground"),
        ("common/text.py", "import numpy", "not ground"),
    ],
    "migrations_stand_alone": [
        ("segments/migrations/0001_initial.py", "import segments.models.people", "import no app code"),
        ("segments/migrations/0001_initial.py", "from common.text import say", "import no app code"),
    ],
    "heavy_imports_wait": [
        ("segments/rfm.py", "import numpy as np", "inside the function"),
        ("segments/rfm.py", "class A:\n    from scipy import stats", "inside the function"),
        ("segments/rfm.py", "try:\n    import psycopg\nexcept ImportError:\n    pass", "inside the function"),
    ],
    "modules_say_why": [
        ("segments/rfm.py", "x = 1", "does not say why"),
        ("segments/rfm.py", '"""Why."""\ndef f():\n' + "    x = 1\n" * 60, "longer than 50 lines"),
    ],
}
SOUND = {
    "common/clock.py": "from datetime import datetime\nx = datetime.now()",
    "common/text.py": "import re\nimport django.utils\nimport pydantic",
    "segments/models/people.py": "from django.db import models\nfrom common.text import say",
    "segments/merge.py": "from segments.models import people\ndef f():\n    import numpy",
    "segments/rules/operators/__init__.py": "from common.text import say",
    "segments/rules/operators/_sql.py": "from segments.models import people",
    "segments/rules/operators/trait.py": "from segments.rules.operators import _sql\nfrom segments.rules.operators._sql import x",
    "segments/rules/operators/orders.py": "from . import _sql",
    "segments/api/auth.py": "import rest_framework",
    "segments/migrations/0001_initial.py": "import common.indexes\nfrom common.indexes import JsonIndex",
    "messaging/tasks.py": "from celery import shared_task\nfrom messaging.outbox import send\nfrom common import clock\nx = clock.now()",
    "messaging/outbox/send.py": "from messaging.channels import email\nimport time\nx = time.monotonic()",
    "messaging/channels/__init__.py": "",
    "messaging/channels/email.py": "from messaging.channels import channels",
    "messaging/gates/quiet.py": "from messaging.models import ledger",
    "messaging/models/ledger.py": "",
    "campaigns/steps/__init__.py": "",
    "campaigns/steps/wait.py": "from segments.merge import merge\nfrom campaigns.steps import steps",
    "campaigns/steps/send.py": "from campaigns.steps import steps",
    "campaigns/engine.py": "from campaigns.steps import wait",
    "campaigns/tasks.py": "from campaigns.engine import advance",
    "config/run.py": "from campaigns import engine\nimport celery",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a small tree in which every module has its sentence and every folder its package."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""Why."""\n{text}\n')
    for folder in [path.parent for path in root.rglob("*.py")]:
        while folder != root:
            (folder / "__init__.py").touch()
            folder = folder.parent
    return root


@pytest.mark.parametrize("rule", RULES)
def test_a_sound_tree_breaks_no_rule(rule: str, tmp_path: Path) -> None:
    assert RULES[rule](plant(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("rule", "file", "text", "reason"), [(rule, *case) for rule, cases in BROKEN.items() for case in cases]
)
def test_each_rule_notices(rule: str, file: str, text: str, reason: str, tmp_path: Path) -> None:
    root = plant(tmp_path, {**SOUND, file: text})
    if rule == "modules_say_why":
        (root / file).write_text(text)
    (found,) = [line for line in RULES[rule](root) if reason in line][:1] or [None]
    assert found, RULES[rule](root)


def test_every_rule_has_a_broken_tree() -> None:
    assert set(BROKEN) == set(RULES)


def test_foreign_keys_obey_the_arrows() -> None:
    assert broken_keys(apps.get_models(include_auto_created=True)) == []


def broken_keys(models: list[type]) -> list[str]:
    """Relations of our models to a model of an app above; strings are the way up."""
    found = []
    for model in models:
        if model._meta.app_label in APPS:
            mine = APPS.index(model._meta.app_label)
            for field in model._meta.get_fields():
                other = field.related_model if field.is_relation and not field.auto_created else None
                if other is not None and APPS.index(other._meta.app_label) > mine if _ours(other) else False:
                    found.append(f"{model._meta.label}.{field.name} → {other._meta.label}")
    return found


def _ours(model: type | None) -> bool:
    return model is not None and model._meta.app_label in APPS


def test_a_foreign_key_upwards_is_noticed() -> None:
    from django.db import models
    from django.test.utils import isolate_apps

    with isolate_apps("segments", "campaigns"):

        class Journey(models.Model):
            class Meta:
                app_label = "campaigns"

        class Segment(models.Model):
            journey = models.ForeignKey(Journey, models.CASCADE)

            class Meta:
                app_label = "segments"

        assert broken_keys([Journey, Segment]) == ["segments.Segment.journey → campaigns.Journey"]


STARTING = """
import sys, django
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
django.setup()
import config.urls, config.celery
config.celery.app.loader.import_default_modules()
print(*sorted(sys.modules))
"""


def loaded_by_starting(blocked: set[str]) -> set[str]:
    """Top-level packages in memory once web and worker have imported all they import, without the blocked ones."""
    command = [sys.executable, "-c", STARTING.format(blocked=blocked)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=_sqlite())
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_starting_loads_nothing_heavy_and_needs_no_driver() -> None:
    loaded = loaded_by_starting(set())
    assert {"django", "celery"} <= loaded
    assert loaded & HEAVY <= {"psycopg"}  # unfold's filters load it when it is there
    assert loaded_by_starting({"psycopg", "redis"}) & HEAVY == set()


def _sqlite() -> dict[str, str]:
    import os

    drop = ("DATABASE_URL", "CELERY_BROKER_URL")
    return {**{k: v for k, v in os.environ.items() if k not in drop}, "DJANGO_SETTINGS_MODULE": "config.settings"}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("segments.models.people", "models"),
        ("segments.rules.operators.trait", "plug-in"),
        ("segments.rules.compile", "verb"),
        ("segments.growth.ledger", "verb"),
        ("messaging.views.click", "edge"),
        ("campaigns.management.commands.install", "edge"),
        ("common.text", "models"),
    ],
)
def test_layers_are_told_by_place(name: str, layer: str) -> None:
    assert layer_of(name) == layer
