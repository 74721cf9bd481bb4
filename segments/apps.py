"""Django's entry to the people app: loads its plug-in families once."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SegmentsConfig(AppConfig):
    name = "segments"
    verbose_name = _("People")

    def ready(self) -> None:
        from segments.rules.operators import operators

        operators.load()
