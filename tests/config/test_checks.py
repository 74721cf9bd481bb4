"""System checks: each refuses what it must, with an id and a hint, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
SAFE = {
    "PUBLIC_URL": "https://mail.example.com",
    "SECRET_KEY": "s" * 50,
    "SUPPRESSION_KEY": "p" * 50,
    "CELERY_BROKER_URL": "redis://:secret@127.0.0.1/0",
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql"}},
    "WORKSPACE_ZONE": "Asia/Shanghai",
    "DEMO": False,
    "ALLOW_FAULTS": False,
}


def ids(settings: Any, **changes: Any) -> set[str]:
    """Ids of our own checks under these settings."""
    from config import checks

    for name, value in {**SAFE, **changes}.items():
        setattr(settings, name, value)
    ours = [function for function in vars(checks).values() if getattr(function, "tags", None)]
    messages = [message for function in ours for message in function(None)]
    assert all(message.hint for message in messages)
    return {message.id for message in messages}


def test_a_safe_installation_passes(settings: Any) -> None:
    assert ids(settings) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SECRET_KEY": "insecure-development-key"}, {"perennial.E001"}),
        ({"SUPPRESSION_KEY": "insecure-suppression-key"}, {"perennial.E001", "perennial.E014"}),
        ({"ALLOW_FAULTS": True}, {"perennial.E002"}),
        ({"DEMO": True}, {"perennial.E003"}),
        ({"WORKSPACE_ZONE": "Mars/Olympus"}, {"perennial.E004"}),
        ({"STAGE_PRESET": "club"}, {"perennial.E005"}),
        ({"LEVEL_FALL": "club"}, {"perennial.E006"}),
        ({"LEVEL_TERM_DAYS": 0}, {"perennial.E006"}),
        ({"CELERY_BROKER_URL": "redis://127.0.0.1/0"}, {"perennial.E010"}),
        ({"PUBLIC_URL": "http://127.0.0.1:8000"}, {"perennial.W011"}),
        ({"PUBLIC_URL": "http://mail.example.com"}, {"perennial.W012"}),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, {"perennial.W013"}),
        ({"SUPPRESSION_KEY": "short"}, {"perennial.E014"}),
        ({"SUPPRESSION_KEY": "s" * 50}, {"perennial.E014"}),
    ],
)
def test_each_check_notices(changes: dict[str, Any], expected: set[str], settings: Any) -> None:
    assert ids(settings, **changes) == expected


def test_the_defaults_are_fine_on_one_machine(settings: Any) -> None:
    messages = [message for message in run_checks() if str(message.id).startswith("perennial.")]
    assert messages == []


def test_fault_points_cannot_be_switched_on_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    from common import faults
    from config import settings as production
    from tests.faults import install_from

    assert production.ALLOW_FAULTS is False
    monkeypatch.setattr(faults, "_handler", None)
    install_from("before_data:kill9", allowed=production.ALLOW_FAULTS)
    assert faults._handler is None
