"""The admin of decisions: campaigns, journeys and their flows, who walks them, and what came of it."""

from __future__ import annotations

from campaigns import timeline
from campaigns.admin import campaigns, proof
from campaigns.admin.enrolments import EnrolmentAdmin
from campaigns.admin.journeys import JourneyAdmin
from campaigns.admin.rehearsals import RehearsalAdmin

__all__ = ["EnrolmentAdmin", "JourneyAdmin", "RehearsalAdmin", "campaigns", "proof", "timeline"]
