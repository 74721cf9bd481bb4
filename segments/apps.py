"""Django's entry to the people app: loads its plug-in families once."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from common.clock import is_postgres


class SegmentsConfig(AppConfig):
    name = "segments"
    verbose_name = _("People")

    def ready(self) -> None:
        from segments.growth.measures import measures
        from segments.health import metrics
        from segments.rules.operators import operators

        operators.load()
        metrics.load()
        measures.load()
        for module in (
            "memberships",
            "growth.merging",
            "growth.mission_merging",
            "health_moves",
            "list_merging",
            "traces",
            "told",
        ):
            import_module(f"segments.{module}")
        post_migrate.connect(know_the_cluster, sender=self)


def know_the_cluster(**_: Any) -> None:
    """After a migration, set the fact log's offset for this database cluster before anybody writes."""
    from segments.facts.position import check_cluster

    if is_postgres():
        check_cluster()
