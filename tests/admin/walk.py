"""Every address of the admin, with a real object for each that takes one; what each asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.urls.resolvers import URLPattern

from campaigns.models import Journey

OPEN = {"index", "login", "logout", "password_change", "password_change_done", "jsi18n", "autocomplete", "search"}
SPECIAL = {  # pages that belong to no model: permission, methods
    "reports": ("campaigns.view_conversion", ("GET",)),
    "report": ("campaigns.view_conversion", ("GET",)),
    "recipes": ("campaigns.view_journey", ("GET",)),
    "recipe_install": ("campaigns.install_recipe", ("GET", "POST")),
}
FOREIGN = {"auth", "django_celery_beat"}


@dataclass(frozen=True)
class Page:
    """One address: its name, its URL, the permissions of which one suffices, the HTTP methods it answers."""

    name: str
    url: str
    permissions: tuple[str, ...]
    methods: tuple[str, ...]
    change: bool = False


def pages() -> Iterator[Page]:
    """All named addresses of the admin site; one without a policy fails here."""
    yield from _own()
    for model, model_admin in admin.site._registry.items():
        for pattern in model_admin.get_urls():
            if isinstance(pattern, URLPattern) and pattern.name:
                page = _page(model, model_admin, pattern)
                if page is not None:
                    yield page


def _own() -> Iterator[Page]:
    yield Page("reports", reverse("admin:reports"), *_policy("reports"))
    yield Page("report", reverse("admin:report", args=["utm-conversions"]), *_policy("report"))
    yield Page("recipes", reverse("admin:recipes"), *_policy("recipes"))
    yield Page("recipe_install", reverse("admin:recipe_install", args=["vip-perks"]), *_policy("recipe_install"))


def _policy(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    permission, methods = SPECIAL[name]
    return (permission,), methods


def _page(model: Any, model_admin: Any, pattern: URLPattern) -> Page | None:
    name, app, noun = str(pattern.name), model._meta.app_label, model._meta.model_name
    short = name.removeprefix(f"{app}_{noun}_")
    url = _url(name, model)
    if url is None:
        return None
    right = {verb: f"{app}.{verb}_{noun}" for verb in ("view", "add", "change", "delete")}
    fixed = {
        "changelist": (right["view"], right["change"]),
        "history": (right["view"], right["change"]),
        "change": (right["view"], right["change"]),
        "add": (right["add"],),
        "delete": (right["delete"],),
    }
    if short in fixed:
        return Page(name, url, fixed[short], ("GET",), short == "change")
    route = getattr(pattern.callback, "route", None)
    if route is not None:
        return Page(name, url, (route.permission,), route.methods)
    if app in FOREIGN:  # password change, running a task by hand: their own checks
        return Page(name, url, (right["change"],), ("GET",))
    raise AssertionError(f"the admin address '{name}' has no policy")


def _url(name: str, model: Any) -> str | None:
    """The address with an object that exists; None when there is none to show it with."""
    try:
        return reverse(f"admin:{name}")
    except NoReverseMatch:
        pass
    row = model._default_manager.order_by("pk").first()
    if row is None:
        return None
    args = [row.pk]
    if name in ("campaigns_journey_version", "campaigns_journey_roll_back"):
        args = [Journey.objects.exclude(live_version=None).values_list("pk", flat=True)[0], 1]
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return reverse(f"admin:{name}", kwargs={"id": row.pk})
