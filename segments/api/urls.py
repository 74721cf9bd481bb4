"""Addresses of the operator API that speak of people, and the schema of the whole API."""

from __future__ import annotations

from django.urls import path

from segments.api.description import Schema
from segments.api.people import OneProfile
from segments.api.privacy import Erase, Export, MergeInto, Undo
from segments.api.segments import Count, Members, OneSegment, Segments

urlpatterns = [
    path("api/schema/", Schema.as_view(), name="api-schema"),
    path("api/segments", Segments.as_view(), name="api-segments"),
    path("api/segments/<slug:key>", OneSegment.as_view(), name="api-segment"),
    path("api/segments/<slug:key>/count", Count.as_view(), name="api-segment-count"),
    path("api/segments/<slug:key>/members", Members.as_view(), name="api-segment-members"),
    path("api/people/<uuid:public_id>/export", Export.as_view(), name="api-person-export"),
    path("api/people/<uuid:public_id>/erase", Erase.as_view(), name="api-person-erase"),
    path("api/people/<uuid:public_id>/merge", MergeInto.as_view(), name="api-person-merge"),
    path("api/people/<uuid:public_id>/unmerge", Undo.as_view(), name="api-person-unmerge"),
    path("api/profiles/<path:user_id>", OneProfile.as_view(), name="api-profile"),
]
