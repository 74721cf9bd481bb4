"""How the admin looks and what its sidebar holds: settings of django-unfold, and nothing but values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    """A sidebar entry is shown to those who hold the permission."""
    return lambda request: request.user.has_perm(permission)


def _list(model: str, title: Any, icon: str) -> dict[str, Any]:
    """The sidebar entry of a model's list; `model` is "app.name"."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _may(f"{app}.view_{name}"),
    }


def _page(url: str, title: Any, icon: str, permission: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url), "permission": _may(permission)}


def _group(title: Any, items: list[dict[str, Any]], *, closed: bool = False) -> dict[str, Any]:
    return {"title": title, "separator": False, "collapsible": closed, "items": items}


NAVIGATION = [
    _group(
        None,
        [
            {"title": _("Dashboard"), "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
            _page("admin:reports", _("Reports"), "monitoring", "campaigns.view_conversion"),
        ],
    ),
    _group(
        _("Who"),
        [
            _list("segments.profile", _("People"), "person"),
            _list("segments.segment", _("Segments"), "group_work"),
            _page("admin:segments_segment_rfm", _("RFM and stages"), "grid_view", "segments.view_scores"),
            _list("segments.staticlist", _("Lists"), "list_alt"),
            _list("segments.trait", _("Traits"), "sell"),
        ],
    ),
    _group(
        _("When and why"),
        [
            _list("campaigns.campaign", _("Campaigns"), "flag"),
            _list("campaigns.journey", _("Journeys"), "route"),
            _list("campaigns.enrolment", _("Enrolments"), "directions_walk"),
            _list("campaigns.rehearsal", _("Back-tests"), "history_toggle_off"),
            _page("admin:recipes", _("Recipes"), "menu_book", "campaigns.view_journey"),
        ],
    ),
    _group(
        _("What and how"),
        [
            _list("messaging.template", _("Templates"), "draft"),
            _list("messaging.block", _("Blocks and layouts"), "dashboard_customize"),
            _list("messaging.bannedword", _("Banned words"), "spellcheck"),
            _list("messaging.feed", _("Feeds"), "rss_feed"),
            _list("messaging.copyrequest", _("Copy drafts"), "edit_note"),
            _list("messaging.voice", _("Brand voice"), "record_voice_over"),
            _page("admin:messaging_delivery_outbox", _("Outbox"), "outbox", "messaging.view_delivery"),
            _list("messaging.delivery", _("Messages"), "outgoing_mail"),
            _list("messaging.reconciliation", _("Daily books"), "balance"),
            _list("messaging.account", _("Accounts"), "dns"),
            _list("messaging.topic", _("Topics"), "topic"),
            _list("messaging.address", _("Addresses"), "alternate_email"),
            _list("messaging.device", _("Devices"), "devices"),
            _list("messaging.suppression", _("Suppressions"), "block"),
            _list("messaging.quarantine", _("Quarantine"), "gpp_maybe"),
            _list("messaging.sendingrule", _("Sending rules"), "rule"),
            _list("messaging.preference", _("Own limits"), "tune"),
            _list("messaging.pause", _("Pauses"), "pause_circle"),
        ],
    ),
    _group(
        _("Growth"),
        [
            _list("segments.mission", _("Missions"), "task_alt"),
            _list("segments.missionprogress", _("Mission progress"), "checklist"),
            _list("segments.badge", _("Badges"), "military_tech"),
            _list("segments.level", _("Levels"), "stairs"),
            _list("segments.pointrule", _("Earning rules"), "add_card"),
            _list("segments.pointentry", _("Points"), "toll"),
            _list("segments.benefit", _("Benefits"), "redeem"),
            _list("segments.couponpool", _("Coupon pools"), "inventory_2"),
            _list("segments.coupon", _("Coupons"), "confirmation_number"),
        ],
        closed=True,
    ),
    _group(
        _("Proof"),
        [
            _list("campaigns.conversion", _("Conversions"), "paid"),
            _list("campaigns.touch", _("Touches"), "touch_app"),
            _list("campaigns.experiment", _("Experiments"), "science"),
        ],
        closed=True,
    ),
    _group(
        _("Data in"),
        [
            _list("segments.source", _("Sources"), "input"),
            _list("segments.event", _("Facts"), "history"),
            _list("segments.order", _("Orders"), "shopping_bag"),
            _list("segments.importjob", _("Imports"), "upload_file"),
            _list("segments.rejectedrow", _("Rejected rows"), "report"),
            _list("segments.eventproperty", _("Event properties"), "schema"),
            _list("segments.merge", _("Merges"), "merge"),
        ],
        closed=True,
    ),
    _group(
        _("Running it"),
        [
            _list("common.auditentry", _("Audit log"), "policy"),
            _list("common.parked", _("Parked"), "local_parking"),
            _list("common.tick", _("Ticks"), "timer"),
            _list("common.heartbeat", _("Heartbeats"), "ecg_heart"),
            _list("segments.segmentrun", _("Segment runs"), "autorenew"),
            _list("common.apikey", _("API keys"), "key"),
            _list("django_celery_beat.periodictask", _("Timetable"), "calendar_month"),
            _list("auth.user", _("Users"), "manage_accounts"),
            _list("auth.group", _("Roles"), "badge"),
        ],
        closed=True,
    ),
]

# An evergreen, light to dark (OKLCH); the neutral base stays unfold's own.
GREEN = {
    "50": "oklch(97.5% .018 160)",
    "100": "oklch(94.5% .042 160)",
    "200": "oklch(89.5% .078 160)",
    "300": "oklch(82.5% .115 160)",
    "400": "oklch(73.5% .135 160)",
    "500": "oklch(63.5% .135 160)",
    "600": "oklch(52.5% .118 161)",
    "700": "oklch(44.5% .098 162)",
    "800": "oklch(37.5% .08 163)",
    "900": "oklch(32.0% .066 164)",
    "950": "oklch(22.5% .046 165)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Perennial",
    "SITE_HEADER": "Perennial",
    "SITE_SUBHEADER": _("Lifecycle messaging"),
    "SITE_SYMBOL": "potted_plant",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("perennial/icon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": False,
    "COLORS": {"primary": GREEN},
    "BORDER_RADIUS": "8px",
    "STYLES": [lambda request: static("perennial/admin.css")],
    "SCRIPTS": [lambda request: static("perennial/admin.js")],
    "DASHBOARD_CALLBACK": "config.admin.dashboard",
    "SIDEBAR": {
        "show_search": True,
        "command_search": False,
        "show_all_applications": False,
        "navigation": NAVIGATION,
    },
}
