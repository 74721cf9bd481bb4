"""Operational tables that every app may use."""

from __future__ import annotations

from common.models.audit import AuditEntry
from common.models.keys import ApiKey
from common.models.named import Named
from common.models.running import Heartbeat, Instance, Parked, Tick

__all__ = ["ApiKey", "AuditEntry", "Heartbeat", "Instance", "Named", "Parked", "Tick"]
