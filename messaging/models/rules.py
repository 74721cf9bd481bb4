"""What operators decide about how much, when and how often: one row per rule, read once per claim by the gates.

A row says more than the settings of the installation (MESSAGE_CAPS, MESSAGE_GAPS, QUIET_HOURS), and stands instead of
theirs where it concerns the same thing. Blank is off, 0 is none.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.states import in_choices

KINDS = ["limit", "quiet", "repeat", "sunset", "best"]


class SendingRule(models.Model):
    """One rule. `channel` "all" is every channel that disturbs; `tag` a topic or a campaign, by its key.

    limit: `at_most` messages a `period` (calendar ones in the recipient's zone; rolling: `hours`; gap: `hours` since
    the last one), and what is done `over` it. quiet: not from `starts` to `ends`, nor on `days` off in `country`
    (blank: the recipient's own). repeat: the same content not within `after_days`. sunset: who ignored `count`
    messages and was silent for `after_days` gets one in `slow_days`, and after `stop_count` none. best: marketing
    waits for each person's best hour between `starts` and `ends`, but for `control` percent, who get it at `fallback`.
    """

    class Kind(models.TextChoices):
        LIMIT = "limit", _("limit")
        QUIET = "quiet", _("quiet hours")
        REPEAT = "repeat", _("no repeats")
        SUNSET = "sunset", _("sunset")
        BEST = "best", _("best hour")

    class Period(models.TextChoices):
        DAY = "day", _("calendar day")
        WEEK = "week", _("calendar week")
        MONTH = "month", _("calendar month")
        ROLLING = "rolling", _("rolling hours")
        GAP = "gap", _("hours since the last one")

    class Over(models.TextChoices):
        USUAL = "", _("as the installation says")
        HOLD = "hold", _("wait until there is room")
        SKIP = "skip", _("skip the message")
        EXIT = "exit", _("skip it, and leave the journey")

    class Days(models.TextChoices):
        EVERY = "every", _("every day")
        NO_HOLIDAYS = "no_holidays", _("not on public holidays")
        WORKING = "working", _("working days only")

    class Class(models.TextChoices):
        USUAL = "", _("marketing (over all channels: lifecycle too)")
        MARKETING = "marketing", _("marketing alone")
        LIFECYCLE = "lifecycle", _("lifecycle alone")

    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    active = models.BooleanField(_("active"), default=True)
    channel = models.CharField(_("channel"), max_length=20, default="all")
    klass = models.CharField(_("class"), max_length=13, choices=Class, blank=True)
    tag = models.CharField(_("topic or campaign"), max_length=80, blank=True, help_text=_("its key; empty for all"))
    at_most = models.PositiveSmallIntegerField(
        _("at most"), null=True, blank=True, help_text=_("messages; empty is off, 0 is none")
    )
    period = models.CharField(_("within"), max_length=7, choices=Period, blank=True)
    hours = models.PositiveSmallIntegerField(_("hours"), default=0, blank=True)
    over = models.CharField(_("above it"), max_length=4, choices=Over, blank=True)
    hold_hours = models.PositiveSmallIntegerField(
        _("wait at most (hours)"), null=True, blank=True, help_text=_("then it expires; empty: its own expiry alone")
    )
    starts = models.TimeField(_("from"), null=True, blank=True)
    ends = models.TimeField(_("until"), null=True, blank=True)
    days = models.CharField(_("days"), max_length=11, choices=Days, default=Days.EVERY)
    country = models.CharField(
        _("whose holidays"), max_length=2, blank=True, help_text=_("CN, US …; empty: the recipient's own country")
    )
    count = models.PositiveSmallIntegerField(_("ignored messages"), null=True, blank=True)
    after_days = models.PositiveSmallIntegerField(_("days"), null=True, blank=True)
    slow_days = models.PositiveSmallIntegerField(
        _("then one message in (days)"), null=True, blank=True, help_text=_("empty: no slowing down")
    )
    stop_count = models.PositiveSmallIntegerField(
        _("stop after ignored messages"), null=True, blank=True, help_text=_("empty: never stop")
    )
    fallback = models.TimeField(
        _("hour of those who are not known"), null=True, blank=True, help_text=_("empty: at once")
    )
    control = models.PositiveSmallIntegerField(_("compared group (%)"), default=10)

    class Meta:
        verbose_name = _("sending rule")
        verbose_name_plural = _("sending rules")
        constraints = [
            in_choices("sending_rule_kind", "kind", KINDS),
            models.UniqueConstraint(
                fields=["kind", "channel", "klass", "tag", "period", "hours"],
                name="sending_rule_once",
                violation_error_message=_("There is a rule for this already."),
            ),
        ]

    def __str__(self) -> str:
        return " · ".join(filter(None, [str(self.get_kind_display()), self.channel, self.klass, self.tag]))

    def clean(self) -> None:
        """Every fault at its field."""
        faults: dict[str, Any] = {}
        if self.kind == self.Kind.LIMIT:
            faults |= self._limit_faults()
        if self.kind in (self.Kind.QUIET, self.Kind.BEST) and (self.starts is None) != (self.ends is None):
            faults["ends" if self.ends is None else "starts"] = _("Give both times or neither.")
        if self.kind == self.Kind.QUIET and self.starts is not None and self.starts == self.ends:
            faults["ends"] = _("A window needs two different times.")
        if self.kind in (self.Kind.REPEAT, self.Kind.SUNSET) and not self.after_days:
            faults["after_days"] = _("Say how many days.")
        if self.kind == self.Kind.SUNSET and not self.count:
            faults["count"] = _("Say how many messages.")
        if self.kind == self.Kind.SUNSET and self.stop_count and self.stop_count <= (self.count or 0):
            faults["stop_count"] = _("This must be more than the messages after which it slows down.")
        if self.control > 100:
            faults["control"] = _("At most 100.")
        if faults:
            raise ValidationError(faults)

    def _limit_faults(self) -> dict[str, Any]:
        if not self.period:
            return {"period": _("Say within what time.")}
        if self.period in (self.Period.ROLLING, self.Period.GAP) and not self.hours:
            return {"hours": _("Say how many hours.")}
        return {}
