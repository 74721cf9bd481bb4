"""Which answers carry the content policy."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client, RequestFactory

from config.content_policy import HEADER, POLICY, content_policy


def asked(path: str, answer: HttpResponse) -> str | None:
    def view(request: HttpRequest) -> HttpResponse:
        return answer

    found: str | None = content_policy(view)(RequestFactory().get(path)).get(HEADER)
    return found


def test_pages_of_the_admin_carry_it_and_nothing_else_does() -> None:
    assert asked("/admin/", HttpResponse("<p>")) == POLICY
    assert asked("/admin/login/", HttpResponse("<p>", status=404)) == POLICY
    assert asked("/admin/x.csv", HttpResponse("a,b", content_type="text/csv")) is None
    assert asked("/admin/x", JsonResponse({})) is None
    assert asked("/u/abc", HttpResponse("<p>")) is None


def test_a_stricter_policy_of_a_page_is_kept() -> None:
    assert asked("/admin/frame/", HttpResponse("<p>", headers={HEADER: "sandbox"})) == "sandbox"


@pytest.mark.django_db
def test_the_log_in_page_carries_it(client: Client) -> None:
    assert client.get("/admin/login/")[HEADER] == POLICY


def test_browsers_that_ask_for_an_icon_find_one(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/perennial/icon.svg")
