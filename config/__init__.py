"""Wiring: environment, settings, timetable and entry points. Nothing here decides anything."""

from __future__ import annotations

from config.celery import app as celery_app

__all__ = ["celery_app"]
