"""Addresses of the people app: the doors of ingest, and the operator API beside them."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path, re_path

from segments.api import ingest

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^v1/(?P<kind>identify|track|page|screen|group|alias)/?$", ingest.single, name="ingest"),
    re_path(r"^(?:v1/)?(?P<kind>batch|import)/?$", ingest.batch, name="ingest-batch"),
]
if find_spec("segments.api.urls"):
    urlpatterns.append(path("", include("segments.api.urls")))
