"""The decision side of the database: campaigns, journeys and their walks, credit, experiments."""

from __future__ import annotations

from campaigns.models.credit import Conversion, Credit, Goal, Touch
from campaigns.models.experiments import Arm, Assignment, Experiment
from campaigns.models.journeys import Campaign, Journey, JourneyVersion
from campaigns.models.rehearsals import Rehearsal
from campaigns.models.reviews import Review, Transfer
from campaigns.models.walks import SINCE, Enrolment, Visit

__all__ = [
    "SINCE",
    "Arm", "Assignment", "Campaign", "Conversion", "Credit", "Enrolment", "Experiment", "Goal", "Journey",
    "JourneyVersion", "Rehearsal", "Review", "Touch", "Transfer", "Visit",
]  # fmt: skip
