"""How much, when and how often, in the admin: sending rules, and people's own limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget

from common import audit, clock
from common.admin import LargePage, Page, show
from messaging.channels import channels
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, Cap, Quiet
from messaging.models import Preference, SendingRule
from messaging.wishes import set_frequency, take_break

Kind = SendingRule.Kind
WHOM = ("active", "channel")
FIELDS: Mapping[str, Sequence[str]] = {
    Kind.LIMIT: (*WHOM, "klass", "tag", "at_most", "period", "hours", "over", "hold_hours"),
    Kind.QUIET: (*WHOM, "starts", "ends", "days", "country"),
    Kind.REPEAT: (*WHOM, "after_days"),
    Kind.SUNSET: (*WHOM, "tag", "count", "after_days", "slow_days", "stop_count"),
    Kind.BEST: (*WHOM, "tag", "starts", "ends", "fallback", "control"),
}
SAYS: Mapping[str, Any] = {
    Kind.LIMIT: _("So many messages a day, week, month or in rolling hours, or the hours since the last one."),
    Kind.QUIET: _("Not at night where the recipient is, nor on days off."),
    Kind.REPEAT: _("The same version with the same variables is not sent to a person again within these days."),
    Kind.SUNSET: _("Who ignores messages for long gets fewer of them, then none, until they open, click or say so."),
    Kind.BEST: _("Marketing waits, a day at most, for the hour at which each person reads; some get it otherwise."),
}


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """The fields of one kind; the model says what is wrong with them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = [one.key for one in channels if one.key not in policy.SILENT]
        choices = [(ALL, _("all channels")), *((key, key) for key in sorted(keys))]
        if "channel" in self.fields:
            field = forms.ChoiceField(label=_("channel"), choices=choices, widget=UnfoldAdminSelectWidget())
            self.fields["channel"] = field

    def _get_validation_exclusions(self) -> set[str]:
        """Rules are one by fields that the form of their kind does not show too."""
        return super()._get_validation_exclusions() - {"kind", "klass", "tag", "period", "hours"}  # type: ignore[misc, no-any-return]


@admin.register(SendingRule)
class SendingRuleAdmin(Page):
    """One list of all kinds; each kind has a form of its own. Every change is in the audit log."""

    hint = _("No rules of your own: the settings of the installation hold, as shown above.")
    form = RuleForm
    list_display = ["what", "whom", "says", "active"]
    list_filter = [("kind", ChoicesDropdownFilter), "active"]
    ordering = ["kind", "channel", "klass", "tag", "period"]
    list_before_template = "admin/messaging/sendingrule/before.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Above the list: what is in force, and a button for each kind."""
        said = {"in_force": in_force(), "kinds": [(kind.value, kind.label, SAYS[kind]) for kind in Kind]}
        return super().changelist_view(request, {**said, **(extra_context or {})})

    def get_fields(self, request: HttpRequest, obj: SendingRule | None = None) -> list[str]:
        return list(FIELDS[self._kind(request, obj)])

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        kind = self._kind(request, obj)

        class OfKind(form):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **given: Any) -> None:
                super().__init__(*args, **given)
                self.instance.kind = kind

        return OfKind

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        said = {"subtitle": SAYS[self._kind(request, None)]}
        return super().add_view(request, form_url, {**said, **(extra_context or {})})

    def _kind(self, request: HttpRequest, obj: SendingRule | None) -> str:
        asked = obj.kind if obj is not None else request.GET.get("kind", "")
        return asked if asked in FIELDS else Kind.LIMIT.value

    def save_model(self, request: HttpRequest, obj: SendingRule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        said = {name: str(getattr(obj, name)) for name in form.changed_data}
        subject = f"rule:{obj.kind}:{obj.pk}"
        audit.record("rule.change" if change else "rule.add", subject, now=clock.now(), actor=request.user, detail=said)

    def delete_model(self, request: HttpRequest, obj: SendingRule) -> None:
        subject = f"rule:{obj.kind}:{obj.pk}"
        super().delete_model(request, obj)
        audit.record("rule.delete", subject, now=clock.now(), actor=request.user)

    @admin.display(description=_("kind"), ordering="kind")
    def what(self, rule: SendingRule) -> str:
        return str(capfirst(rule.get_kind_display()))

    @admin.display(description=_("for"))
    def whom(self, rule: SendingRule) -> str:
        channel = str(_("all channels")) if rule.channel == ALL else rule.channel
        klass = str(rule.get_klass_display()) if rule.klass else ""
        return " · ".join(filter(None, [channel, klass, rule.tag]))

    @admin.display(description=_("says"))
    def says(self, rule: SendingRule) -> SafeString | str:
        return summary(rule)


def summary(rule: SendingRule) -> str:
    """A rule in one line."""
    if rule.kind == Kind.LIMIT:
        cap = policy.merged(policy.Policy(), [rule]).caps
        return cap_words(cap[0]) if cap else str(_("off"))
    if rule.kind == Kind.QUIET:
        return quiet_words(policy.merged(policy.Policy(), [rule]).quiet[rule.channel])
    if rule.kind == Kind.REPEAT:
        return str(_("not again within days: %(n)s") % {"n": rule.after_days})
    if rule.kind == Kind.SUNSET:
        said = {
            "count": rule.count,
            "days": rule.after_days,
            "slow": rule.slow_days or "–",
            "stop": rule.stop_count or "–",
        }
        return str(_("%(count)s ignored and %(days)s days: one in %(slow)s days; stop after %(stop)s") % said)
    hour = rule.fallback.strftime("%H:%M") if rule.fallback else str(_("at once"))
    return str(_("others: %(hour)s; compared: %(n)s %%") % {"hour": hour, "n": rule.control})


def cap_words(cap: Cap) -> str:
    """A limit in words."""
    hours = cap.width.total_seconds() / 3600
    if cap.period == "gap":
        return str(_("hours since the last one: %(n)g") % {"n": hours})
    period = str(_("rolling hours: %(n)g") % {"n": hours}) if cap.period == "rolling" else str(
        SendingRule.Period(cap.period).label
    )  # fmt: skip
    return str(_("at most %(n)s within %(period)s") % {"n": cap.limit, "period": period})


def quiet_words(rule: Quiet) -> str:
    """Quiet hours in words."""
    window = f"{rule.window[0]:%H:%M}–{rule.window[1]:%H:%M}" if rule.window else str(_("no quiet hours"))
    if rule.days == SendingRule.Days.EVERY:
        return window
    return f"{window}, {SendingRule.Days(rule.days).label} {rule.country}".strip()


def in_force() -> list[dict[str, Any]]:
    """Every limit and window that holds now, and whether a rule here said so."""
    ground, now = policy.ground(), policy.current()
    caps = [
        {"what": _("limit"), "whom": _whom(cap), "says": cap_words(cap), "ours": cap not in ground.caps}
        for cap in sorted(now.caps, key=lambda cap: (cap.channel, cap.klass, cap.tag, cap.period))
    ]
    windows = [
        {
            "what": _("quiet hours"),
            "whom": channel,
            "says": quiet_words(rule),
            "ours": ground.quiet.get(channel) != rule,
        }
        for channel, rule in sorted(now.quiet.items())
    ]
    return caps + windows


def _whom(cap: Cap) -> str:
    return " · ".join(filter(None, [cap.channel, cap.klass, cap.tag]))


@admin.register(Preference)
class PreferenceAdmin(LargePage):
    """People's own limits: what they chose themselves, and what an operator agreed with them."""

    hint = _("Nobody has asked for less, or for a break.")
    list_display = ["person", "at_most", "period", "replaces", "paused_until", "source", "updated_at"]
    list_filter = [("period", ChoicesDropdownFilter), "replaces"]
    list_select_related = ["profile"]
    search_fields = ["=profile__email", "=profile__public_id"]
    search_help_text = _("An exact address")
    ordering = ["-pk"]
    autocomplete_fields = ["profile"]
    fields = ["profile", "at_most", "period", "replaces", "paused_until"]

    def get_readonly_fields(self, request: HttpRequest, obj: Preference | None = None) -> list[str]:
        return ["profile"] if obj is not None else []

    def has_delete_permission(self, request: HttpRequest, obj: Preference | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Preference, form: Any, change: bool) -> None:
        """By the same verbs as the recipient's page, so that it is locked, told and audited."""
        now, name = clock.now(), f"admin:{request.user}"[:80]
        set_frequency(obj.profile_id, obj.at_most, obj.period, replaces=obj.replaces, now=now, source=name)
        take_break(obj.profile_id, obj.paused_until, now=now, source=name)
        said = {field: str(getattr(obj, field)) for field in form.changed_data}
        audit.record("preference.change", f"profile:{obj.profile_id}", now=now, actor=request.user, detail=said)

    @admin.display(description=_("person"))
    def person(self, row: Preference) -> SafeString | str:
        return show.page_of("segments_profile", row.profile_id, row.profile)
