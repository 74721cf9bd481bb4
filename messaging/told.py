"""What this app finds wrong with its settings, to be told in the operator's language (common.told)."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from common.told import teach

teach(
    _("OVER_CAP is %(these)s, not '%(text)s'"),
    _("'%(text)s' is not a cap such as 3/week (periods: %(these)s)"),
    _("'%(text)s' is not a window such as 21:00-08:00"),
    _("'%(text)s' is not channel=value"),
    _("'%(text)s' is not a share such as hard=15%%"),
)
