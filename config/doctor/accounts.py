"""Whether there is a sender at all, and which of them are being held back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from config.doctor import Finding, amber, exam
from messaging.models import Account


@exam("P012")
def accounts(at: datetime) -> Iterator[Finding]:
    rows = list(Account.objects.filter(active=True))
    if not rows:
        yield amber("P012", _("no account is active: nothing can be sent"), "/admin/messaging/account/add/")
    for row in rows:
        if row.open_until and row.open_until > at:
            text = _("account %(key)s is held after %(n)d errors in a row") % {"key": row.key, "n": row.errors}
            yield amber("P012", text, _("it tries again by itself; look at the provider's answers"))
