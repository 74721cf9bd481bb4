"""Addresses of the operator API that speak of journeys and reports; last of all, what it does not have."""

from __future__ import annotations

from django.urls import path, re_path

from campaigns.api.journeys import Enrol, JourneyFunnel, Journeys, OneJourney
from campaigns.api.rehearsals import OneRehearsal, Rehearsals, Rehearse, StopRehearsal
from campaigns.api.reports import Reports, RunReport
from segments.api.base import Closed

urlpatterns = [
    path("api/journeys", Journeys.as_view(), name="api-journeys"),
    path("api/journeys/<slug:key>", OneJourney.as_view(), name="api-journey"),
    path("api/journeys/<slug:key>/funnel", JourneyFunnel.as_view(), name="api-journey-funnel"),
    path("api/journeys/<slug:key>/enrol", Enrol.as_view(), name="api-journey-enrol"),
    path("api/journeys/<slug:key>/rehearse", Rehearse.as_view(), name="api-journey-rehearse"),
    path("api/journeys/<slug:key>/rehearsals", Rehearsals.as_view(), name="api-journey-rehearsals"),
    path("api/journeys/<slug:key>/rehearsals/<int:pk>", OneRehearsal.as_view(), name="api-journey-rehearsal"),
    path(
        "api/journeys/<slug:key>/rehearsals/<int:pk>/cancel",
        StopRehearsal.as_view(),
        name="api-journey-rehearsal-cancel",
    ),
    path("api/reports", Reports.as_view(), name="api-reports"),
    path("api/reports/<slug:key>", RunReport.as_view(), name="api-report"),
    re_path(r"^api/", Closed.as_view(), name="api-closed"),
]
