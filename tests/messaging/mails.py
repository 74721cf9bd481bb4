"""Published templates and sent messages for the tests of rendering, links and what comes back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

from messaging.links import page_url
from messaging.models import Delivery, Template, TemplateVersion
from messaging.outbox.parcels import read_parcels
from messaging.permission import address_for
from messaging.publish import publish_template
from messaging.render import Rendered, render_group
from messaging.tokens import Purpose
from segments.models import Profile
from tests.messages import make_topic, queue_to
from tests.people import NOW

HTML = (
    '<html><body><p>Hello {{ profile.first_name | default("you", true) }}</p>'
    '<a href="https://shop.example/new?a=1&amp;b=2">New</a> <a href="https://shop.example/old">Old</a>'
    '<a href="{{ links.unsubscribe }}">Leave</a></body></html>'
)
ONE_LINK = (
    '<html><body><a href="https://shop.example/new">New</a><a href="{{ links.unsubscribe }}">Leave</a></body></html>'
)
CHINESE = (
    '<html><body><p>您好 {{ profile | name("您好") }}</p><a href="https://shop.example/new">上新</a>'
    '<a href="{{ links.unsubscribe }}">退订</a></body></html>'
)
UTM = {"utm_source": "shop", "utm_medium": "email", "utm_campaign": "spring", "utm_id": "c1", "utm_content": "hi"}
BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15"


def draft(html: str = HTML, *, key: str = "hello", subject: str = "Hello", **fields: Any) -> Template:
    """An unsaved template with one English variant; other fields as in the model."""
    fields.setdefault("content", {"en": {"subject": subject, "html": html}})
    return Template(key=key, name=key.title(), channel=fields.pop("channel", "email"), **fields)


def publish(html: str = HTML, *, now: datetime = NOW, topic: str = "offers", **fields: Any) -> TemplateVersion:
    """A published template."""
    template = draft(html, topic=make_topic(topic) if topic else None, **fields)
    template.save()
    return publish_template(template, now=now)


def sent(
    person: Profile,
    version: TemplateVersion,
    *,
    now: datetime = NOW,
    ago: timedelta = timedelta(minutes=5),
    **fields: Any,
) -> Delivery:
    """A message that was accepted `ago` before now."""
    pk = queue_to([person], version, now=now - ago, prefix=fields.pop("prefix", "k"), utm=UTM, **fields)[0]
    address = address_for(person, version.channel, now)
    Delivery.objects.filter(pk=pk).update(
        state="accepted", reached=1, sent_at=now - ago, settled_at=now - ago, address=address
    )
    return Delivery.objects.get(pk=pk)


def render(row: Delivery) -> Rendered:
    """The message as the outbox would render it. Raises its RenderError."""
    page = render_group([parcel.job for parcel in read_parcels([row.pk])])[0]
    if isinstance(page, Exception):
        raise page
    return page


def hrefs(html: str) -> list[str]:
    """Every link of a message, decoded."""
    return [unescape(found) for found in re.findall(r'href="([^"]*)"', html)]


def path_of(url: str) -> str:
    """The path of one of our addresses, for the test client."""
    return "/" + url.split("/", 3)[3]


def unsubscribe_path(row: Delivery) -> str:
    return path_of(page_url(Purpose.UNSUBSCRIBE, row.pk, row.address_id))
