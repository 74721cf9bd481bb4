"""Feeds: JSON of other servers that templates may show, what they said last, and how they are doing."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named


class Feed(Named):
    """A named address whose JSON stands in templates as {{ feeds.key }}.

    `url` may hold variables in braces, {locale} or {profile.city}; one with others than {locale} is asked per person.
    `headers` are plain; "Name_env" names the environment variable that holds the value. Times are in the unit that the
    field says. `fallback` NULL: without an answer the message waits.
    """

    key = models.CharField(
        _("key"), max_length=40, unique=True, help_text=_("As templates write it: {{ feeds.key }}"),
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*\Z", _("Small letters, digits and _, a letter first."))],
    )  # fmt: skip
    url = models.CharField(_("address"), max_length=2000)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    pick = models.CharField(
        _("part to take"), max_length=200, blank=True, help_text=_("data.items takes that part of the answer")
    )
    ttl = models.PositiveIntegerField(
        _("fresh for (seconds)"), default=300, validators=[MinValueValidator(10), MaxValueValidator(86400)]
    )
    stale = models.PositiveIntegerField(
        _("usable while the server fails (seconds)"), default=86400, validators=[MaxValueValidator(30 * 86400)]
    )
    timeout = models.PositiveIntegerField(
        _("patience (milliseconds)"), default=2000, validators=[MinValueValidator(100), MaxValueValidator(5000)]
    )
    fallback = models.JSONField(
        _("instead, when there is no answer"), null=True, blank=True, help_text=_("JSON; empty: the message waits")
    )
    sample = models.JSONField(
        _("sample for previews"), null=True, blank=True, help_text=_("Filled by “Ask now”; never sent to anybody")
    )
    active = models.BooleanField(_("active"), default=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    open_until = models.DateTimeField(_("left alone until"), null=True, editable=False)
    asked_at = models.DateTimeField(_("last asked"), null=True, editable=False)
    answered_at = models.DateTimeField(_("last answered"), null=True, editable=False)
    error = models.CharField(_("last error"), max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = _("feed")
        verbose_name_plural = _("feeds")


class FeedValue(models.Model):
    """What a shared address of a feed answered last. What was asked for a person is never stored here."""

    feed = models.ForeignKey(Feed, models.CASCADE, db_index=False, related_name="values")
    digest = models.CharField(_("hash of the address"), max_length=64)
    value = models.JSONField(_("value"), null=True)
    fetched_at = models.DateTimeField(_("fetched"))

    class Meta:
        verbose_name = _("value of a feed")
        verbose_name_plural = _("values of feeds")
        constraints = [models.UniqueConstraint(fields=["feed", "digest"], name="feed_value_once")]


class FeedCall(models.Model):
    """A shared address that one worker is asking right now, so that the others do not; the row goes with the answer.

    `until` is by the database's clock: whoever died holds nobody up beyond it.
    """

    feed = models.ForeignKey(Feed, models.CASCADE, db_index=False, related_name="+")
    digest = models.CharField(_("hash of the address"), max_length=64)
    token = models.CharField(max_length=32)
    until = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("call of a feed")
        verbose_name_plural = _("calls of feeds")
        constraints = [models.UniqueConstraint(fields=["feed", "digest"], name="feed_call_once")]
