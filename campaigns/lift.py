"""Lift: what an experiment caused, asked for by key; pages, API and digests read it here."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns.models import Experiment
from campaigns.reports._lift import ArmFigures, Lift, lifts_of

__all__ = ["ArmFigures", "Lift", "lift", "lifts_of"]


def lift(experiment: Experiment | str, now: datetime, *, window: timedelta | None = None) -> Lift | None:
    """The first treated arm against the control; None while the experiment has fewer than two arms.

    `window` is the time after being assigned in which a goal counts; by default the longest walk of the journey and
    the goal's window after it. Raises Experiment.DoesNotExist for an unknown key.
    """
    row = experiment if isinstance(experiment, Experiment) else Experiment.objects.get(key=experiment)
    return next(iter(lifts_of(row, now, window=window)), None)
