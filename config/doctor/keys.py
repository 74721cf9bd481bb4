"""Whether links are signed with a key that anybody can read in the source."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.checks import default_keys, is_public
from config.doctor import Finding, exam


@exam("P011")
def keys(at: datetime) -> Iterator[Finding]:
    for name in default_keys():
        level = "red" if is_public() else "amber"
        yield Finding("P011", level, _("%s is the default that everybody knows") % name, _("set it, or NAME_FILE"))
