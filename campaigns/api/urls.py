"""Addresses of the operator API that speak of journeys and reports; last of all, what it does not have."""

from __future__ import annotations

from django.urls import path, re_path

from campaigns.api import publishing as life
from campaigns.api.journeys import Enrol, JourneyFunnel, Journeys, OneJourney
from campaigns.api.rehearsals import DryRun, OneRehearsal, Rehearsals, Rehearse, StopRehearsal
from campaigns.api.reports import Reports, RunReport
from segments.api.base import Closed

urlpatterns = [
    path("api/journeys", Journeys.as_view(), name="api-journeys"),
    path("api/journeys/check", life.CheckText.as_view(), name="api-journeys-check"),
    path("api/journeys/install", life.InstallText.as_view(), name="api-journeys-install"),
    path("api/journeys/<slug:key>", OneJourney.as_view(), name="api-journey"),
    path("api/journeys/<slug:key>/funnel", JourneyFunnel.as_view(), name="api-journey-funnel"),
    path("api/journeys/<slug:key>/enrol", Enrol.as_view(), name="api-journey-enrol"),
    path("api/journeys/<slug:key>/rehearse", Rehearse.as_view(), name="api-journey-rehearse"),
    path("api/journeys/<slug:key>/dry-run", DryRun.as_view(), name="api-journey-dry-run"),
    path("api/journeys/<slug:key>/rehearsals", Rehearsals.as_view(), name="api-journey-rehearsals"),
    path("api/journeys/<slug:key>/rehearsals/<int:pk>", OneRehearsal.as_view(), name="api-journey-rehearsal"),
    path(
        "api/journeys/<slug:key>/rehearsals/<int:pk>/cancel",
        StopRehearsal.as_view(),
        name="api-journey-rehearsal-cancel",
    ),
    path("api/journeys/<slug:key>/findings", life.Findings.as_view(), name="api-journey-findings"),
    path("api/journeys/<slug:key>/export", life.Export.as_view(), name="api-journey-export"),
    path("api/journeys/<slug:key>/diff", life.Diff.as_view(), name="api-journey-diff"),
    path("api/journeys/<slug:key>/versions", life.Versions.as_view(), name="api-journey-versions"),
    path("api/journeys/<slug:key>/transfers", life.Transfers.as_view(), name="api-journey-transfers"),
    path("api/journeys/<slug:key>/draft", life.SaveDraft.as_view(), name="api-journey-draft"),
    path("api/journeys/<slug:key>/review", life.AskReview.as_view(), name="api-journey-review"),
    path("api/journeys/<slug:key>/withdraw", life.WithdrawReview.as_view(), name="api-journey-withdraw"),
    path("api/journeys/<slug:key>/approve", life.Approve.as_view(), name="api-journey-approve"),
    path("api/journeys/<slug:key>/send-back", life.SendBack.as_view(), name="api-journey-send-back"),
    path("api/journeys/<slug:key>/publish", life.Publish.as_view(), name="api-journey-publish"),
    path("api/journeys/<slug:key>/roll-back", life.RollBack.as_view(), name="api-journey-roll-back"),
    path("api/journeys/<slug:key>/people", life.MovePeople.as_view(), name="api-journey-people"),
    path("api/journeys/<slug:key>/people/stop", life.StopPeople.as_view(), name="api-journey-people-stop"),
    path("api/journeys/<slug:key>/pause", life.Pause.as_view(), name="api-journey-pause"),
    path("api/journeys/<slug:key>/resume", life.Resume.as_view(), name="api-journey-resume"),
    path("api/journeys/<slug:key>/archive", life.Archive.as_view(), name="api-journey-archive"),
    path("api/reports", Reports.as_view(), name="api-reports"),
    path("api/reports/<slug:key>", RunReport.as_view(), name="api-report"),
    re_path(r"^api/", Closed.as_view(), name="api-closed"),
]
