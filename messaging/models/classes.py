"""The message class: one field that decides which gates a message passes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class MessageClass(models.TextChoices):
    """transactional: stopped only by erasure, a hard bounce, the global switch; lifecycle: service consent,
    the overall cap, quiet hours, journey holdout; marketing: all of it."""

    TRANSACTIONAL = "transactional", _("transactional")
    LIFECYCLE = "lifecycle", _("lifecycle")
    MARKETING = "marketing", _("marketing")


CLASSES = ["transactional", "lifecycle", "marketing"]
PRIORITY = {"transactional": 200, "lifecycle": 100, "marketing": 0}  # what an author asks for moves it by 9 at most
