"""Who may do what: every address of the admin for every role, by the permissions that the role holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import resolve

from campaigns.models import Journey
from common.models import AuditEntry
from config.roles import RIGHTS, ROLES, sync_roles
from tests.admin.walk import pages


def holds(role: str) -> set[str]:
    return User.objects.get(username=role).get_all_permissions()


DOCS = Path(__file__).parents[2] / "docs"


def ask(url: str, user: User) -> int:
    """The status a page answers this person with, the page itself left unrendered (that is test_pages' matter)."""
    view, request = resolve(url), RequestFactory().get(url)
    request.user, request.session = user, SessionStore()
    request._messages = FallbackStorage(request)
    try:
        return int(view.func(request, *view.args, **view.kwargs).status_code)
    except PermissionDenied:
        return 403
    except Http404:
        return 404


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_reading_is_allowed_exactly_to_those_who_hold_the_right(shop: Any, db: None, role: str) -> None:
    user = User.objects.get(username=role)
    rights, wrong, seen = user.get_all_permissions(), [], 0
    for page in pages():
        if "GET" not in page.methods:
            continue
        status, seen = ask(page.url, user), seen + 1
        allowed = bool(rights.intersection(page.permissions))
        if allowed and status == 403 and page.name.endswith(("_add", "_delete")):
            continue  # nobody does this by hand (adding a fact), whatever the right
        if (status == 403) is allowed or status >= 500:
            wrong.append((page.name, status, page.permissions))
    assert wrong == []
    assert seen > 150


@pytest.mark.parametrize("role", ["nobody", "viewer", "author", "approver", "sender"])
def test_nothing_is_done_without_the_right(shop: Any, login: Any, role: str) -> None:
    client, rights, before, tried = login(role), holds(role), AuditEntry.objects.count(), 0
    for page in pages():
        if "POST" in page.methods and not rights.intersection(page.permissions):
            assert client.post(page.url).status_code == 403, page.name
            tried += 1
    assert tried > 5
    assert AuditEntry.objects.count() == before


def test_verbs_take_post_alone(shop: Any, login: Any) -> None:
    client = login("root")
    posts = [page for page in pages() if page.methods == ("POST",)]
    assert len(posts) > 12
    for page in posts:
        assert client.get(page.url).status_code == 405, page.name


def test_verbs_refuse_a_forged_form(shop: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="root"))
    state = Journey.objects.order_by("pk").values_list("state", flat=True)[0]
    for page in pages():
        if "POST" in page.methods:
            assert client.post(page.url).status_code == 403, page.name
    assert Journey.objects.order_by("pk").values_list("state", flat=True)[0] == state


def test_strangers_are_sent_to_the_login(shop: Any, db: None) -> None:
    for page in pages():
        answer = Client().get(page.url)
        assert answer.status_code == 302, page.name
        assert "/admin/login/" in answer["Location"]


def test_writing_approving_and_sending_are_three_rights(db: None) -> None:
    author, approver, sender = (_of(role) for role in ("author", "approver", "sender"))
    assert "campaigns.change_journey" in author
    assert not author & {"campaigns.publish_journey", "messaging.testsend_template", "campaigns.resume_journey"}
    assert "campaigns.publish_journey" in approver
    assert not approver & {"campaigns.change_journey", "campaigns.enrol_journey", "messaging.lift_pause"}
    assert {"campaigns.enrol_journey", "campaigns.resume_journey", "messaging.lift_pause"} <= sender
    assert not sender & {"campaigns.change_journey", "campaigns.publish_journey", "messaging.publish_template"}
    assert set(RIGHTS) <= _of("admin")


def test_viewers_see_no_keys_and_no_accounts_of_people(db: None) -> None:
    seen = _of("viewer")
    assert "segments.view_profile" in seen
    assert all(name.split(".")[1].startswith("view_") for name in seen)
    assert not seen & {"common.view_apikey", "common.view_instance", "auth.view_user"}


def test_sync_mends_a_role_and_leaves_other_groups_alone(db: None) -> None:
    mine = Group.objects.create(name="night shift")
    viewer = Group.objects.get(name="viewer")
    stolen = Group.objects.get(name="admin").permissions.get(codename="publish_journey")
    viewer.permissions.add(stolen)
    mine.permissions.add(stolen)
    sync_roles()
    assert "campaigns.publish_journey" not in _of("viewer")
    assert list(mine.permissions.values_list("codename", flat=True)) == ["publish_journey"]


def test_a_second_sync_writes_nothing(db: None, django_assert_max_num_queries: Any) -> None:
    sync_roles()
    with django_assert_max_num_queries(14) as asked:
        sync_roles()
    assert not [q for q in asked.captured_queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def _of(role: str) -> set[str]:
    rows = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.mark.parametrize("page", ["roles.md", "zh/roles.md"])
def test_every_role_and_right_has_its_row(page: str) -> None:
    rows = set(re.findall(r"^\| `([^`]+)` \|", (DOCS / page).read_text(), re.MULTILINE))
    assert rows == {*ROLES, *RIGHTS}
