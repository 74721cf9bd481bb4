"""What a key may do, scope by scope, and the permission by which a person in the browser may do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Scope:
    """`title` for people; `permission` ("app.codename") opens it to staff in the browser, "" to no one."""

    title: Any
    permission: str = ""


SCOPES: Mapping[str, Scope] = {
    "ingest": Scope(_("Send facts (write key of a source)")),
    "segments:read": Scope(_("Read segments, their size and their members"), "segments.view_segment"),
    "segments:write": Scope(_("Make and change segments, rebuild and stop them")),
    "profiles:read": Scope(_("Read people with their traits and scores"), "segments.view_profile"),
    "profiles:export": Scope(_("Export everything about a person")),
    "profiles:erase": Scope(_("Erase a person")),
    "profiles:merge": Scope(_("Merge two profiles of one person, and undo it")),
    "intake:replay": Scope(_("Take refused rows in again")),
    "journeys:read": Scope(_("Read journeys and their funnels"), "campaigns.view_journey"),
    "journeys:rehearse": Scope(_("Rehearse journeys"), "campaigns.rehearse_journey"),
    "journeys:write": Scope(_("Write drafts of journeys, install them from text, ask for reviews")),
    "journeys:publish": Scope(_("Review, publish, roll back, pause, resume and archive journeys")),
    "journeys:enrol": Scope(_("Enrol people in journeys"), "campaigns.enrol_journey"),
    "deliveries:read": Scope(_("Read messages and their attempts"), "messaging.view_delivery"),
    "messages:send": Scope(_("Send one transactional message")),
    "reports:read": Scope(_("Read reports"), "campaigns.view_conversion"),
    "growth": Scope(_("Read where a person stands in points, levels, missions and coupons")),
    "inbox": Scope(_("Read a person's in-app messages and mark them read")),
}
