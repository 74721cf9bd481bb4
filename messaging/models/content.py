"""Templates and their frozen versions, the blocks and layouts that they share, and the words that nobody may write."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from messaging.models.classes import CLASSES, MessageClass
from messaging.models.permission import Topic


class Block(Named):
    """Words that several templates share: a block stands where its template says {{ blocks.key }}, a layout around the
    template's own words, where it says {{ content }}.

    `content` is {locale: {form: source}}, forms being html, mjml and text. A published version holds what its blocks
    said on that day; a change reaches a template when it is published again. `revision` counts savings by hand.
    """

    class Kind(models.TextChoices):
        BLOCK = "block", _("block")
        LAYOUT = "layout", _("layout")

    kind = models.CharField(_("kind"), max_length=6, choices=Kind, default=Kind.BLOCK)
    content = models.JSONField(_("content"), default=dict)
    archived = models.BooleanField(_("archived"), default=False)
    revision = models.PositiveIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks and layouts")
        constraints = [in_choices("block_kind", "kind", ["block", "layout"])]


class Template(Named):
    """A message in the making. What is sent is always one of its versions.

    `content` is the draft: {locale: {part: source}}, parts by channel (e-mail: subject, preheader, html, text).
    `revision` counts savings by hand: who saves says which one was on the screen.
    """

    channel = models.CharField(_("channel"), max_length=20, default="email")
    klass = models.CharField(_("class"), max_length=13, choices=MessageClass, default=MessageClass.MARKETING)
    topic = models.ForeignKey(Topic, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("topic"))
    content = models.JSONField(_("content"), default=dict)
    sample = models.JSONField(_("sample data"), default=dict, blank=True)
    layout = models.ForeignKey(
        Block, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("layout"),
        limit_choices_to={"kind": "layout", "archived": False},
    )  # fmt: skip
    archived = models.BooleanField(_("archived"), default=False)
    revision = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [in_choices("template_class", "klass", CLASSES)]


class TemplateVersion(models.Model):
    """One published state of a template; frozen. `links` lists the links found, in order, per locale.

    `content` is what is sent; `draft` is what its author had written (content, sample, layout: a key), and `blocks` the
    content hash of each block and layout that it holds, by key. Both are empty on versions from before they were kept.
    """

    template = models.ForeignKey(Template, models.PROTECT, db_index=False, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    channel = models.CharField(_("channel"), max_length=20)
    klass = models.CharField(_("class"), max_length=13, choices=MessageClass)
    topic = models.CharField(_("topic"), max_length=80, blank=True)
    content = models.JSONField(_("content"))
    draft = models.JSONField(_("draft"), default=dict, db_default={})
    blocks = models.JSONField(_("blocks"), default=dict, db_default={})
    digest = models.CharField(_("content hash"), max_length=64)
    published_at = models.DateTimeField(_("published"))
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["template", "-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.template.key} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("published versions are frozen")
        super().save(*args, **kwargs)


class TemplateSave(models.Model):
    """What a template's draft said once it was saved: the newest of each template are kept.

    `draft` is as in TemplateVersion; `came_by` is blank when somebody wrote it, else "v3", "save 7" or "copy".
    """

    template = models.ForeignKey(Template, models.CASCADE, db_index=False, related_name="saves")
    revision = models.PositiveIntegerField(_("save"))
    draft = models.JSONField(_("draft"))
    saved_at = models.DateTimeField(_("saved"))
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    came_by = models.CharField(max_length=40, blank=True)

    class Meta:
        verbose_name = _("saved draft")
        verbose_name_plural = _("saved drafts")
        ordering = ["template", "-revision"]
        constraints = [models.UniqueConstraint(fields=["template", "revision"], name="template_save_once")]

    def __str__(self) -> str:
        return f"{self.template.key} #{self.revision}"


class BannedWord(models.Model):
    """A word or phrase that messages must not hold, in one language or in all; `instead` says what to write."""

    class Severity(models.TextChoices):
        ERROR = "error", _("must not be published")
        WARNING = "warning", _("asks to confirm")

    word = models.CharField(_("word or phrase"), max_length=80)
    locale = models.CharField(
        _("language"), max_length=20, blank=True, help_text=_("en, zh-Hans …; empty means every language"),
        validators=[RegexValidator(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")],
    )  # fmt: skip
    severity = models.CharField(_("severity"), max_length=7, choices=Severity, default=Severity.ERROR)
    instead = models.CharField(_("write instead"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("banned word")
        verbose_name_plural = _("banned words")
        ordering = ["locale", "word"]
        constraints = [
            models.UniqueConstraint(fields=["locale", "word"], name="banned_word_once"),
            in_choices("banned_word_severity", "severity", ["error", "warning"]),
        ]

    def __str__(self) -> str:
        return self.word
