"""Django's entry to the wiring: the app that brings commands which span the whole house."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate


class WiringConfig(AppConfig):
    name = "config"
    verbose_name = "Perennial"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - importing registers
        from config.doctor import exams
        from config.roles import sync_roles

        exams.load()
        post_migrate.connect(settle, dispatch_uid="perennial.settle")
        post_migrate.connect(sync_roles, sender=apps.get_app_config("campaigns"), dispatch_uid="perennial.roles")


def settle(*, app_config: AppConfig, using: str, **kwargs: Any) -> None:
    """After the migrations: write the timetable and the installation's stamp."""
    if using != "default" or app_config.name not in ("django_celery_beat", "common"):
        return
    from config.beat import sync_timetable
    from config.instance import ensure_instance

    tables = connections[using].introspection.table_names()
    if app_config.name == "common" and "common_instance" in tables:
        ensure_instance()
    if app_config.name == "django_celery_beat" and "django_celery_beat_periodictask" in tables:
        sync_timetable()
