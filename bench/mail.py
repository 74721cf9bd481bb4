"""The stage of the mail benches: one message of 10 KB, a mail server that keeps nothing, people who agreed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

ITEMS = [{"name": f"春季新品 {number}", "price": number * 10} for number in range(6)]
ROW = '<tr><td style="padding:8px;border:1px solid #ddd">{{ item.name }} 限时优惠</td><td>{{ item.price }}</td></tr>\n'
LINK = '<p><a href="https://shop.example.com/sale">春季 sale</a> lorem ipsum dolor sit amet, consectetur elit.</p>\n'
HTML = (
    "<html><body><h1>Hello {{ profile.first_name }} 你好</h1>\n<table>{% for item in event.products %}"
    + ROW * 8
    + "{% endfor %}</table>\n"
    + LINK * 3
    + "<p>多行文字 lorem ipsum dolor sit amet, consectetur adipiscing elit.</p>\n" * 20
    + '<a href="{{ links.unsubscribe }}">leave</a></body></html>'
)
TEXT = "Hello {{ profile.first_name }} 你好\n" + "lorem ipsum\n" * 20 + "{{ links.unsubscribe }}\n"
SENDER = "Shop <shop@example.com>"
SUBJECT = "Hello {{ profile.first_name }}"
# The gate of quiet hours works, and never holds.
ENVIRON = {"QUIET_HOURS": "email=00:00-00:00", "LOG_LEVEL": "ERROR"}


@dataclass(frozen=True)
class Sink:
    """A running mail server."""

    port: int
    pid: int


@contextmanager
def sink() -> Iterator[Sink]:
    """postfix's smtp-sink on a free port; it accepts everything and keeps nothing. It offers no pipelining, so that
    both sides of a race speak one command at a time."""
    import socket

    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-p", *user, f"127.0.0.1:{port}", "200"])
    try:
        time.sleep(0.5)
        yield Sink(port, process.pid)
    finally:
        process.kill()
        process.wait()


@contextmanager
def awake() -> Iterator[None]:
    """One spinner a core in the idle scheduling class: takes what nobody wants. It naps, else the kernel's own
    threads wait a whole tick behind it, and a commit that takes 0.15 ms takes 3.9."""
    code = (
        "import os, time\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "while True:\n    time.sleep(2e-5)\n    for _ in range(300): pass"
    )
    spinners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def make_account(port: int) -> None:
    from messaging.models import Account

    settings = {"host": "127.0.0.1", "port": port, "timeout": 10}
    fields = {"name": "Bench", "channel": "email", "sender": SENDER, "is_default": True, "settings": settings}
    Account.objects.update_or_create(key="bench", defaults=fields)


def plan(number: int, part: str, messages: int) -> None:
    """New people who agreed to the topic, and one planned message for each."""
    from django.db import connection, transaction

    from common.buckets import bucket_of, shard_of
    from messaging.models import Address, Template, Topic
    from messaging.outbox.queue import NewDelivery, queue_deliveries
    from messaging.publish import publish_template
    from segments.models import Profile

    now = datetime.now(UTC)
    topic, _ = Topic.objects.get_or_create(key="offers", defaults={"name": "Offers"})
    content = {"en": {"subject": SUBJECT, "html": HTML, "text": TEXT}}
    defaults = {
        "name": "Bench",
        "channel": "email",
        "topic": topic,
        "content": content,
        "sample": {"event": {"products": ITEMS}},
    }
    template, _ = Template.objects.get_or_create(key="bench", defaults=defaults)
    version = publish_template(template, now=now)
    ids = [uuid.uuid4() for _ in range(messages)]
    people = Profile.objects.bulk_create(
        [
            Profile(
                public_id=one, shard=shard_of(one), bucket=bucket_of(one), first_name="Mei",
                email=f"{part}{number}-{at}@example.com", first_seen_at=now, last_seen_at=now,
            )
            for at, one in enumerate(ids)
        ],
        batch_size=1000,
    )  # fmt: skip
    Address.objects.bulk_create(
        [Address(channel="email", value=p.email, profile=p, consents=["offers"], created_at=now) for p in people],
        batch_size=1000,
    )
    utm = {"utm_source": "perennial", "utm_medium": "email", "utm_campaign": "bench"}
    with transaction.atomic():
        queue_deliveries(
            [
                NewDelivery(f"bench:{p.pk}", p.pk, version.pk, now, context={"event": {"products": ITEMS}}, utm=utm)
                for p in people
            ],
            now=now,
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
