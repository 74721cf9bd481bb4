"""Django's entry to the wiring: the app that brings commands which span the whole house."""

from __future__ import annotations

from django.apps import AppConfig


class WiringConfig(AppConfig):
    name = "config"
    verbose_name = "Perennial"
