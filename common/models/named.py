"""Things an operator names, in English and, where given, in Chinese."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.text import is_chinese


class Named(models.Model):
    """A stable key for programs and a name for people in both languages."""

    key = models.SlugField(_("key"), max_length=80, unique=True)
    name = models.CharField(_("name"), max_length=200)
    name_zh = models.CharField(_("Chinese name"), max_length=200, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """The name in the active language."""
        return self.name_zh if self.name_zh and is_chinese() else self.name
