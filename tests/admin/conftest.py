"""One seeded shop per module, rolled back at its end; a client per role."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from tests.admin.seed import make_shop

ROLES = ("nobody", "viewer", "author", "approver", "sender", "admin")


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any) -> Generator[datetime]:
    """Fill the database once for the module; return the moment at which it was filled."""
    now = datetime.now(UTC)
    with django_db_blocker.unblock(), transaction.atomic():
        make_shop(now, people=16)
        yield now
        transaction.set_rollback(True)


@pytest.fixture
def login(db: None) -> Any:
    """Return a function that gives a client logged in as the person of a role, in a language."""

    def as_(role: str, language: str = "en") -> Client:
        client = Client(headers={"accept-language": language})
        client.force_login(User.objects.get(username=role))
        return client

    return as_
