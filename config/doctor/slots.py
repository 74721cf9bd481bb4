"""Whether every enabled line of the timetable ran lately: a worker may be alive and still not consume."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from common import ticks
from config.beat import enabled_intervals
from config.doctor import Finding, exam, red

QUIET = timedelta(seconds=45)


@exam("P008")
def slots(at: datetime) -> Iterator[Finding]:
    late = []
    for name, every in enabled_intervals().items():
        age = ticks.age(name, at=at)
        if age is None and every < QUIET.total_seconds():
            late.append(_("%s never") % name)
        elif age is not None and age > max(QUIET, timedelta(seconds=3 * every)):
            late.append(_("%(name)s %(age)d s ago") % {"name": name, "age": age.total_seconds()})
    if late:
        text = _("the timetable is not being worked off: %s") % ", ".join(late)
        yield red("P008", text, _("restart worker and beat; look at the log of the worker"))
