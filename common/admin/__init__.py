"""The admin of the ground, and the base that every app's admin is built on."""

from __future__ import annotations

from common.admin.audit import AuditEntryAdmin
from common.admin.base import LargePage, NoDelete, Page, ReadOnly, complain, reason_of, route
from common.admin.keys import ApiKeyAdmin
from common.admin.running import HeartbeatAdmin, ParkedAdmin, TickAdmin
from common.admin.widgets import JsonField

__all__ = [
    "ApiKeyAdmin", "AuditEntryAdmin", "HeartbeatAdmin", "JsonField", "LargePage", "NoDelete", "Page", "ParkedAdmin",
    "ReadOnly", "TickAdmin", "complain", "reason_of", "route",
]  # fmt: skip
