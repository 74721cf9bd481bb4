"""Free space where queue, imports and (embedded) the database lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from config.doctor import Finding, exam, red

FREE_BYTES = 500 * 1024 * 1024


@exam("P017")
def space(at: datetime) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.VAR).free
    if free < FREE_BYTES:
        yield red("P017", _("only %d MB are free") % (free // 2**20), _("make room under %s") % settings.VAR)
