"""Templates and their frozen versions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices
from messaging.models.classes import CLASSES, MessageClass
from messaging.models.permission import Topic


class Template(Named):
    """A message in the making. What is sent is always one of its versions.

    `content` is the draft: {locale: {part: source}}, parts by channel (e-mail: subject, preheader, html, text).
    """

    channel = models.CharField(_("channel"), max_length=20, default="email")
    klass = models.CharField(_("class"), max_length=13, choices=MessageClass, default=MessageClass.MARKETING)
    topic = models.ForeignKey(Topic, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("topic"))
    content = models.JSONField(_("content"), default=dict)
    sample = models.JSONField(_("sample data"), default=dict, blank=True)
    archived = models.BooleanField(_("archived"), default=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [in_choices("template_class", "klass", CLASSES)]


class TemplateVersion(models.Model):
    """One published state of a template; frozen. `links` lists the links found, in order, per locale."""

    template = models.ForeignKey(Template, models.PROTECT, db_index=False, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    channel = models.CharField(_("channel"), max_length=20)
    klass = models.CharField(_("class"), max_length=13, choices=MessageClass)
    topic = models.CharField(_("topic"), max_length=80, blank=True)
    content = models.JSONField(_("content"))
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
