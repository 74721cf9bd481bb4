"""The addresses of an installation with the demo's mailbox among them, for a browser that reads what it was sent."""

from __future__ import annotations

from django.urls import include, path

from config.urls import urlpatterns as house

urlpatterns = [*house, path("mailbox/", include("config.demo.urls"))]
