"""Programs and people that call the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from common import clock
from common.models import ApiKey


def a_key(*scopes: str, **fields: Any) -> str:
    """The secret of a new key with these scopes; `fields` are set on its row."""
    row, secret = ApiKey.issue("test", list(scopes), now=clock.now())
    if fields:
        ApiKey.objects.filter(pk=row.pk).update(**fields)
    return secret


class Program:
    """A client that sends its key in the header."""

    def __init__(self, secret: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, body, content_type="application/json", headers=named)


def a_program(*scopes: str) -> Program:
    return Program(a_key(*scopes))


def staff(*permissions: str, is_staff: bool = True) -> Client:
    """A browser in which a member of staff with these permissions is logged in."""
    user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def codes(answer: Any) -> list[tuple[str, str | None]]:
    """(code, attr) of every error, having checked the one form of errors."""
    assert answer["Content-Type"] == "application/json", answer["Content-Type"]
    body = answer.json()
    assert set(body) == {"type", "errors"}, body
    return [(one["code"], one["attr"]) for one in body["errors"]]
