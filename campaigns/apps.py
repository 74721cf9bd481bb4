"""Django's entry to the decision app: loads its plug-in families once."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = _("Campaigns")

    def ready(self) -> None:
        from campaigns import gates, operators
        from campaigns.attribution import models
        from campaigns.lints import lints
        from campaigns.reports import reports
        from campaigns.steps import steps
        from campaigns.triggers import triggers

        for registry in (lints, models, reports, steps, triggers):
            registry.load()
        for name in ("joined", "told"):
            import_module(f"campaigns.{name}")
        for package in (gates, operators):
            for module in iter_modules(package.__path__):
                import_module(f"{package.__name__}.{module.name}")
        import_module("campaigns.merging")
