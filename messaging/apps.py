"""Django's entry to the message app: loads its plug-in families once."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Messages")

    def ready(self) -> None:
        from messaging import operators
        from messaging.channels import channels
        from messaging.gates import gates
        from messaging.lints import lints
        from messaging.receipts import receivers

        for registry in (channels, gates, receivers, lints):
            registry.load()
        for module in iter_modules(operators.__path__):
            import_module(f"messaging.operators.{module.name}")
        for name in ("merging", "traces", "told"):
            import_module(f"messaging.{name}")
