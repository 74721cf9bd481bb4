"""What a channel can do, in words: shown on the page of an account, where its settings are chosen."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from messaging.channels import Channel, Limit


def lines(channel: Channel, transport: str) -> Iterator[tuple[str, str]]:
    """Pairs of what is asked and what is so."""
    yield _("formatted text (HTML)"), ", ".join(sorted(channel.html)) or _("no")
    yield _("opens can be seen"), _yes(channel.tracks_opens)
    yield _("UTM medium of its links"), channel.medium or _("no UTM parameters")
    yield _("the longest message"), "; ".join(_limit(one) for one in channel.limits) or _("no limit of its own")
    yield _("several messages in one call"), _yes(transport in channel.batches)
    rate = _("%(n)d a minute: enter it as the rate") % {"n": channel.a_minute} if channel.a_minute else ""
    yield _("rate that the provider allows"), rate or _("as agreed with the provider")
    yield _("whom it reaches"), _reached(channel)


def shown(channel: Channel, transport: str) -> SafeString:
    rows = format_html_join("", "<dt>{}</dt><dd>{}</dd>", lines(channel, transport))
    return format_html_join("", "<dl>{}</dl>", [(rows,)])


def _yes(so: bool) -> str:
    return _("yes") if so else _("no")


def _limit(one: Limit) -> str:
    unit = _("bytes") if one.unit == "bytes" else _("SMS segments")
    return f"{one.part or _('all parts')}: {one.most} {unit}"


def _reached(channel: Channel) -> str:
    if channel.registers:
        return _("every device that the person's app has registered")
    if not channel.needs_address:
        return _("one place for all, or the person's account")
    return _("the address in: %(of)s") % {"of": ", ".join(channel.reads)}
