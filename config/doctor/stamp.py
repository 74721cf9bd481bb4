"""Whether this database belongs to this installation, or was copied from another one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.doctor import Finding, exam, red
from config.instance import stranger


@exam("P016")
def stamp(at: datetime) -> Iterator[Finding]:
    other = stranger()
    if other:
        text = _("this database belongs to installation '%s'; sending is paused") % other
        yield red("P016", text, "manage.py doctor --adopt")
