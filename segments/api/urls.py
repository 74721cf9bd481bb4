"""Addresses of the operator API that speak of people, and the schema of the whole API."""

from __future__ import annotations

from django.urls import path

from segments.api.description import Schema
from segments.api.learnt import CorrectTrait, Events, OneEvent, Traits
from segments.api.life import Health, OnePerson, Timeline
from segments.api.lists import ChangeList, Lists, OnList, SaveList
from segments.api.people import OneProfile
from segments.api.privacy import Erase, Export, MergeInto, Undo
from segments.api.rejected import Rejected, Replay
from segments.api.scores import HealthBands, Rfm, ScoredPeople, SetHealth, SetRfm, Stages
from segments.api.segment_verbs import Cancel, Overlaps, Preview, Rebuild, Runs, Save, State
from segments.api.segments import Count, Members, OneSegment, Segments
from segments.api.standing import Mine, OneStanding, StandingToken

urlpatterns = [
    path("api/schema/", Schema.as_view(), name="api-schema"),
    path("api/segments", Segments.as_view(), name="api-segments"),
    path("api/segments/<slug:key>", OneSegment.as_view(), name="api-segment"),
    path("api/segments/<slug:key>/count", Count.as_view(), name="api-segment-count"),
    path("api/segments/<slug:key>/members", Members.as_view(), name="api-segment-members"),
    path("api/segments/<slug:key>/overlap", Overlaps.as_view(), name="api-segment-overlap"),
    path("api/segments/<slug:key>/runs", Runs.as_view(), name="api-segment-runs"),
    path("api/segments/<slug:key>/save", Save.as_view(), name="api-segment-save"),
    path("api/segments/<slug:key>/rebuild", Rebuild.as_view(), name="api-segment-rebuild"),
    path("api/segments/<slug:key>/cancel", Cancel.as_view(), name="api-segment-cancel"),
    path("api/segments/<slug:key>/state", State.as_view(), name="api-segment-state"),
    path("api/rules/preview", Preview.as_view(), name="api-rule-preview"),
    path("api/lists", Lists.as_view(), name="api-lists"),
    path("api/lists/<slug:key>/save", SaveList.as_view(), name="api-list-save"),
    path("api/lists/<slug:key>/members", OnList.as_view(), name="api-list-members"),
    path("api/lists/<slug:key>/change", ChangeList.as_view(), name="api-list-change"),
    path("api/scores/rfm", Rfm.as_view(), name="api-scores-rfm"),
    path("api/scores/rfm/settings", SetRfm.as_view(), name="api-scores-rfm-settings"),
    path("api/scores/stages", Stages.as_view(), name="api-scores-stages"),
    path("api/scores/health", HealthBands.as_view(), name="api-scores-health"),
    path("api/scores/health/settings", SetHealth.as_view(), name="api-scores-health-settings"),
    path("api/scores/people", ScoredPeople.as_view(), name="api-scores-people"),
    path("api/traits", Traits.as_view(), name="api-traits"),
    path("api/traits/type", CorrectTrait.as_view(), name="api-trait-type"),
    path("api/events", Events.as_view(), name="api-events"),
    path("api/events/properties", OneEvent.as_view(), name="api-event-properties"),
    path("api/rejected", Rejected.as_view(), name="api-rejected"),
    path("api/rejected/replay", Replay.as_view(), name="api-rejected-replay"),
    path("api/people/<uuid:public_id>", OnePerson.as_view(), name="api-person"),
    path("api/people/<uuid:public_id>/health", Health.as_view(), name="api-person-health"),
    path("api/people/<uuid:public_id>/timeline", Timeline.as_view(), name="api-person-timeline"),
    path("api/people/<uuid:public_id>/export", Export.as_view(), name="api-person-export"),
    path("api/people/<uuid:public_id>/erase", Erase.as_view(), name="api-person-erase"),
    path("api/people/<uuid:public_id>/merge", MergeInto.as_view(), name="api-person-merge"),
    path("api/people/<uuid:public_id>/unmerge", Undo.as_view(), name="api-person-unmerge"),
    path("api/growth", OneStanding.as_view(), name="api-growth"),
    path("api/growth/token", StandingToken.as_view(), name="api-growth-token"),
    path("growth/mine", Mine.as_view(), name="growth-mine"),
    path("api/profiles/<path:user_id>", OneProfile.as_view(), name="api-profile"),
]
