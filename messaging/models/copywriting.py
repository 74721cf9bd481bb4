"""Words that a language model proposed: the brand's voice, what was asked and answered, and who approved it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.states import in_choices
from messaging.models.content import Template


class Voice(models.Model):
    """How the brand speaks, in one language; it stands at the head of every prompt in that language."""

    locale = models.CharField(_("language"), max_length=20, unique=True)
    text = models.TextField(_("voice"), max_length=4000)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("brand voice")
        verbose_name_plural = _("brand voices")
        ordering = ["locale"]

    def __str__(self) -> str:
        return self.locale


class CopyRequest(models.Model):
    """One question to the model: a template, one language, perhaps one segment. The row is the unit of work.

    `prompt` is what was sent, word for word, and `digest` its SHA-256; `answer` is what came back, cut at 20,000
    characters. A claimed row whose worker died is failed, not asked again: asking costs money.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        ASKING = "asking", _("being asked")
        ANSWERED = "answered", _("answered")
        FAILED = "failed", _("failed")

    MOVES = {
        "waiting": frozenset({"asking", "failed"}),
        "asking": frozenset({"answered", "failed", "waiting"}),
        "answered": frozenset[str](),
        "failed": frozenset[str](),
    }

    template = models.ForeignKey(Template, models.CASCADE, related_name="copy_requests")
    locale = models.CharField(_("language"), max_length=20)
    segment = models.CharField(_("segment"), max_length=80, blank=True)
    brief = models.TextField(_("brief"), max_length=1000, blank=True)
    wanted = models.PositiveSmallIntegerField(_("variants"), default=3)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(_("asked"))
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    not_before = models.DateTimeField(_("not before"))
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    begun_at = models.DateTimeField(_("begun"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    model = models.CharField(_("model"), max_length=120, blank=True)
    prompt = models.JSONField(_("prompt"), default=list)
    digest = models.CharField(_("prompt hash"), max_length=64, blank=True)
    answer = models.TextField(_("answer"), blank=True)
    tokens = models.PositiveIntegerField(_("tokens"), default=0)
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("copy request")
        verbose_name_plural = _("copy requests")
        ordering = ["-id"]
        constraints = [in_choices("copy_request_state", "state", ["waiting", "asking", "answered", "failed"])]
        indexes = [
            models.Index(
                fields=["not_before"], name="copy_request_due", condition=models.Q(state__in=["waiting", "asking"])
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} · {self.locale}"


class CopyDraft(models.Model):
    """One proposed variant. Nothing of it enters a template before a person approved it.

    `parts` by name (subject, preheader …); `findings` what the lints say about the template with it, as sentences.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")
        USED = "used", _("in the draft")

    MOVES = {
        "proposed": frozenset({"approved", "refused"}),
        "approved": frozenset({"used", "refused"}),
        "refused": frozenset[str](),
        "used": frozenset[str](),
    }

    request = models.ForeignKey(CopyRequest, models.CASCADE, related_name="drafts")
    number = models.PositiveSmallIntegerField(_("variant"))
    parts = models.JSONField(_("words"))
    findings = models.JSONField(_("findings"), default=list)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PROPOSED)
    decided_at = models.DateTimeField(_("decided"), null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    used_at = models.DateTimeField(_("used"), null=True)
    used_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("copy draft")
        verbose_name_plural = _("copy drafts")
        ordering = ["-request", "number"]
        constraints = [
            in_choices("copy_draft_state", "state", ["proposed", "approved", "refused", "used"]),
            models.UniqueConstraint(fields=["request", "number"], name="copy_draft_once"),
        ]

    def __str__(self) -> str:
        return f"{self.request} · {self.number}"
