"""Wiring: environment, settings, timetable and entry points. Nothing here decides anything."""
