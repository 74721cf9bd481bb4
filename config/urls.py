"""Every address this installation answers to; each app brings its own."""

from __future__ import annotations

from importlib.util import find_spec

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config import health

APPS = ["segments.urls", "messaging.urls", "messaging.api.urls", "campaigns.urls", "campaigns.api.urls"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}perennial/icon.svg"), name="favicon"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    *[path("", include(module)) for module in APPS if find_spec(module)],
]
if settings.DEMO:
    urlpatterns.append(path("mailbox/", include("config.demo.urls")))
