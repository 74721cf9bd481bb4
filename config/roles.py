"""Five roles as Django groups. Writing, approving and sending are three different rights (docs/roles.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db import connection
from django.utils.translation import gettext_noop

# Rights beyond Django's add, change, delete and view: app.codename → its name.
RIGHTS: Mapping[str, str] = {
    "campaigns.publish_journey": gettext_noop("Can publish a journey"),
    "campaigns.review_journey": gettext_noop("Can review a journey"),
    "campaigns.pause_journey": gettext_noop("Can pause a journey"),
    "campaigns.resume_journey": gettext_noop("Can resume a journey"),
    "campaigns.archive_journey": gettext_noop("Can archive a journey"),
    "campaigns.rehearse_journey": gettext_noop("Can rehearse a journey"),
    "campaigns.enrol_journey": gettext_noop("Can enrol people in a journey"),
    "campaigns.install_recipe": gettext_noop("Can install a recipe"),
    "campaigns.retry_enrolment": gettext_noop("Can retry a parked enrolment"),
    "messaging.publish_template": gettext_noop("Can publish a template"),
    "messaging.testsend_template": gettext_noop("Can send a test message"),
    "messaging.cancel_delivery": gettext_noop("Can cancel a waiting message"),
    "messaging.resend_delivery": gettext_noop("Can send a message in doubt once more"),
    "messaging.start_pause": gettext_noop("Can pause sending"),
    "messaging.lift_pause": gettext_noop("Can lift a pause"),
    "messaging.suppress_address": gettext_noop("Can suppress an address"),
    "messaging.lift_suppression": gettext_noop("Can lift the suppression of an address"),
    "messaging.remove_device": gettext_noop("Can remove a device"),
    "messaging.decide_quarantine": gettext_noop("Can decide about words in quarantine"),
    "messaging.import_suppression": gettext_noop("Can import a suppression list"),
    "messaging.export_suppression": gettext_noop("Can export the suppression list"),
    "messaging.state_consent": gettext_noop("Can record a consent by hand"),
    "messaging.ask_feed": gettext_noop("Can ask a feed now"),
    "messaging.ask_copyrequest": gettext_noop("Can ask a model for copy"),
    "messaging.approve_copydraft": gettext_noop("Can approve proposed copy"),
    "segments.rebuild_segment": gettext_noop("Can rebuild a segment"),
    "segments.fire_segment": gettext_noop("Can let journeys react to a rebuild"),
    "segments.export_profile": gettext_noop("Can export everything about a person"),
    "segments.erase_profile": gettext_noop("Can erase a person"),
    "segments.merge_profile": gettext_noop("Can merge two profiles"),
    "segments.undo_merge": gettext_noop("Can undo a merge"),
    "segments.replay_rejectedrow": gettext_noop("Can replay refused rows"),
}

OURS = ("segments", "messaging", "campaigns", "common")
# Kept from everyone but administrators: accounts of people and programs, and the machine room.
PRIVATE = frozenset({"apikey", "instance"})
DRAFTS = [
    "segments.segment",
    "segments.staticlist",
    "segments.trait",
    "segments.mission",
    "segments.badge",
    "segments.level",
    "segments.privilege",
    "segments.pointrule",
    "segments.benefit",
    "segments.couponpool",
    "messaging.template",
    "messaging.block",
    "messaging.bannedword",
    "messaging.topic",
    "messaging.voice",
    "campaigns.campaign",
    "campaigns.journey",
    "campaigns.goal",
]

EXTRA: Mapping[str, frozenset[str]] = {
    "viewer": frozenset(),
    "author": frozenset(
        f"{app}.{verb}_{model}" for app, model in (one.split(".") for one in DRAFTS) for verb in ("add", "change")
    )
    | {
        "campaigns.install_recipe",
        "campaigns.rehearse_journey",
        "messaging.ask_copyrequest",
        "messaging.ask_feed",
        "segments.rebuild_segment",
        "segments.change_rfmedges",
        "segments.change_healthrules",
    },
    "approver": frozenset(
        [
            "campaigns.publish_journey",
            "campaigns.review_journey",
            "campaigns.rehearse_journey",
            "campaigns.pause_journey",
            "campaigns.archive_journey",
            "messaging.publish_template",
            "messaging.approve_copydraft",
            "messaging.start_pause",
            "messaging.cancel_delivery",
            "messaging.add_sendingrule",
            "messaging.change_sendingrule",
            "messaging.delete_sendingrule",
        ]
    ),
    "sender": frozenset(
        [
            "campaigns.pause_journey",
            "campaigns.resume_journey",
            "campaigns.enrol_journey",
            "campaigns.retry_enrolment",
            "messaging.testsend_template",
            "messaging.cancel_delivery",
            "messaging.resend_delivery",
            "messaging.start_pause",
            "messaging.lift_pause",
            "messaging.suppress_address",
            "messaging.import_suppression",
            "messaging.decide_quarantine",
            "messaging.remove_device",
            "messaging.state_consent",
            "messaging.add_preference",
            "messaging.change_preference",
            "common.change_parked",
            "segments.rebuild_segment",
            "segments.fire_segment",
        ]
    ),
}
ROLES = ("viewer", "author", "approver", "sender", "admin")


def viewable(permissions: Mapping[str, Any]) -> set[str]:
    """Everything a viewer may see: our own models, without keys and the machine room."""
    return {name for name in permissions if _is_view(*name.split(".", 1)) and name.split("_", 1)[1] not in PRIVATE}


def _is_view(app: str, codename: str) -> bool:
    return app in OURS and codename.startswith("view_")


def wanted(role: str, permissions: Mapping[str, Any]) -> set[str]:
    """The permissions of a role, out of those that exist."""
    if role == "admin":
        return set(permissions)
    return viewable(permissions) | {name for name in EXTRA[role] if name in permissions}


def sync_roles(**kwargs: Any) -> None:
    """After the migrations of the last app: make our rights, set the five groups to exactly their permissions.

    Groups that an installation made itself are never touched, nor is anybody's membership.
    """
    from django.contrib.auth.models import Group

    if kwargs.get("using", "default") != "default" or "auth_group" not in connection.introspection.table_names():
        return
    permissions = _make_rights()
    names = {permission.pk: name for name, permission in permissions.items()}
    for role in ROLES:
        group, _made = Group.objects.get_or_create(name=role)
        has = {names[pk] for pk in group.permissions.values_list("pk", flat=True) if pk in names}
        aim = wanted(role, permissions)
        if has - aim:
            group.permissions.remove(*[permissions[name] for name in sorted(has - aim)])
        if aim - has:
            group.permissions.add(*[permissions[name] for name in sorted(aim - has)])


def _make_rights() -> dict[str, Any]:
    """Every permission of our apps, of users and of the timetable, by name; missing rights are made."""
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType

    known = _known(Permission)
    for name, title in RIGHTS.items():
        if name not in known:
            app, codename = name.split(".")
            kind = ContentType.objects.get_for_model(apps.get_model(app, _subject(codename)))
            known[name], _made = Permission.objects.get_or_create(
                codename=codename, content_type=kind, defaults={"name": title}
            )
    return known


def _known(permission: Any) -> dict[str, Any]:
    rows = permission.objects.select_related("content_type").filter(
        content_type__app_label__in=[*OURS, "auth", "django_celery_beat"]
    )
    return {f"{row.content_type.app_label}.{row.codename}": row for row in rows}


def _subject(codename: str) -> str:
    """The model that a right is filed under."""
    noun = codename.split("_", 1)[1]
    return "journey" if noun == "recipe" else noun
