"""An installation in which nothing has happened: every page says why it is empty and what to do next."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib import admin
from django.urls import reverse

from tests.admin.seed import make_users
from tests.admin.walk import FOREIGN

OURS = sorted(
    (model for model in admin.site._registry if model._meta.app_label not in FOREIGN), key=lambda m: m._meta.label
)


@pytest.fixture
def root(login: Any) -> Any:
    """Return the superuser's client."""
    make_users()
    return login("root")


def test_empty_lists_say_what_to_do_next(root: Any) -> None:
    empty = 0
    for model in OURS:
        page = root.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        if page.context_data["cl"].result_list:
            continue
        hint = str(admin.site._registry[model].hint)
        assert hint, model
        assert hint in BeautifulSoup(page.content, "html.parser").get_text(), model
        empty += 1
    assert empty > 25


def test_the_dashboard_leads_through_the_first_hour(root: Any) -> None:
    page = BeautifulSoup(root.get("/admin/").content, "html.parser")
    steps = page.select(".p-todo a")
    assert [step.select_one("b").text for step in steps] == [  # type: ignore[union-attr]
        "Let facts come in",
        "Add a sender",
        "Install a recipe",
        "Make the words yours, and publish them",
        "Publish a journey",
    ]
    assert page.select(".p-done") == []
    assert page.find(string=re.compile("No message has gone out yet"))
    assert "The timetable is silent" in page.select_one("#troubles").text  # type: ignore[union-attr]


def test_reports_and_recipes_need_no_data(root: Any) -> None:
    for url in ("/admin/reports/", "/admin/reports/utm-conversions/", "/admin/recipes/"):
        assert root.get(url).status_code == 200, url
