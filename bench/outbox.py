"""Messages a second through gates, render, links, MIME and SMTP, against a bare render + SMTP loop.

Two sending processes against two bare loops, with the same template, skeleton and smtplib, to postfix's smtp-sink. Two
idle-class spinners keep the cores awake, else the bare loop waits on sleeping ones and the ratio flatters.
"""

from __future__ import annotations

import json
import os
import shutil
import smtplib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

from bench.measure import ROUNDS, Board, Line
from bench.stage import SCALE

PROCESSES = 2
MESSAGES = int(20_000 * SCALE) // PROCESSES * PROCESSES
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
GIVEN = {"profile": {"first_name": "Mei"}, "event": {"products": ITEMS}}
SUBJECT = "Hello {{ profile.first_name }}"
NO_NIGHT = {"QUIET_HOURS": "email=00:00-00:00", "LOG_LEVEL": "ERROR"}  # the gate works, and never holds


def run(board: Board) -> None:
    """Print the ratio; it gates at 0.35 on PostgreSQL."""
    yards, subjects, memory, bound = [], [], [], []
    with sink() as port, awake():
        _account(port)
        for number in range(ROUNDS):
            _plan(number)
            bare = _race("bare", port)
            ours = _race("ours", port)
            assert ours["messages"] == MESSAGES, ours
            yards.append(bare["rate"])
            subjects.append(ours["rate"])
            memory.append(ours["memory"])
            bound.append(bare["cpu"])
    bare_rate, our_rate = median(yards), median(subjects)
    detail = f"two processes each; the bare loops used {median(bound):.0%} of a core each"
    board.add(
        Line(
            "outbox / bare render + SMTP",
            f"{our_rate:,.0f}/s",
            f"{bare_rate:,.0f}/s",
            our_rate / bare_rate,
            0.35,
            detail,
        )
    )
    board.add(Line("outbox: peak memory of a sender, MB", f"{max(memory):.0f}", "300", 300 / max(memory), 1))


@contextmanager
def sink() -> Iterator[int]:
    """postfix's smtp-sink on a free port; it accepts everything and keeps nothing."""
    import socket

    program = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "200"])
    try:
        time.sleep(0.5)
        yield port
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


def _account(port: int) -> None:
    from messaging.models import Account

    settings = {"host": "127.0.0.1", "port": port, "timeout": 10}
    fields = {"name": "Bench", "channel": "email", "sender": SENDER, "is_default": True, "settings": settings}
    Account.objects.update_or_create(key="bench", defaults=fields)


def _plan(number: int) -> None:
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
    ids = [uuid.uuid4() for _ in range(MESSAGES)]
    people = Profile.objects.bulk_create(
        [
            Profile(
                public_id=one, shard=shard_of(one), bucket=bucket_of(one), first_name="Mei",
                email=f"r{number}-{at}@example.com", first_seen_at=now, last_seen_at=now,
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


def _race(part: str, port: int) -> dict[str, float]:
    """Start the processes, let them go together, and add up what they did."""
    command = [sys.executable, "-m", "bench.outbox", part, str(port), str(MESSAGES // PROCESSES)]
    environ = {**os.environ, **NO_NIGHT}
    runners = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for _ in range(PROCESSES)
    ]
    for runner in runners:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
    told: list[dict[str, float]] = []
    for runner in runners:
        assert runner.stdout is not None
        told.append(json.loads(runner.stdout.readlines()[-1]))
        runner.wait()
    longest = max(one["seconds"] for one in told)
    total = sum(one["messages"] for one in told)
    return {
        "messages": total,
        "rate": total / longest,
        "memory": max(one["memory"] for one in told),
        "cpu": max(one["cpu"] / one["seconds"] for one in told),
    }


def _part(part: str, port: int, count: int) -> None:
    """One process of the race."""
    import django

    django.setup()
    from bench.measure import peak_mb

    work = _bare(port, count) if part == "bare" else _ours()
    next(work)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.perf_counter(), time.process_time()
    done = next(work)
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    print(json.dumps({"messages": done, **spent, "memory": peak_mb()}))


def _ours() -> Iterator[int]:
    from common.clock import now
    from messaging.outbox.send import send_due

    warm = send_due(worker="bench", now_fn=lambda: datetime(2000, 1, 1, tzinfo=UTC))
    yield warm.claimed
    report = send_due(worker="bench", now_fn=now, seconds=600)
    yield report.states.get("accepted", 0)


def _bare(port: int, count: int) -> Iterator[int]:
    """The yardstick: the template compiled once, the same skeleton, the same smtplib on one connection."""
    from jinja2 import Environment

    from messaging.channels import Outgoing, Sender
    from messaging.channels.email import Composer

    html, plain = Environment(autoescape=True).from_string(HTML), Environment().from_string(TEXT)
    subject = Environment().from_string(SUBJECT)
    compose = Composer(Sender("bench", "smtp", SENDER, "", {}))
    at = datetime.now(UTC)
    yield 0
    with smtplib.SMTP("127.0.0.1", port, "localhost") as smtp:
        smtp.ehlo()
        eight_bit = smtp.has_extn("8bitmime")
        for number in range(count):
            ref = str(uuid.uuid4())
            url = f"https://example.com/u/{ref}"
            given: dict[str, Any] = {
                "profile": {"first_name": "Mei"},
                "event": {"products": ITEMS},
                "links": {"unsubscribe": url},
            }
            parts = {"subject": subject.render(given), "html": html.render(given), "text": plain.render(given)}
            headers = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
            to = f"b{number}@example.com"
            message = Outgoing(ref, to, "Mei", parts, f"<{ref}@example.com>", headers, at=at)
            smtp.docmd("MAIL", "FROM:<shop@example.com>")
            smtp.docmd("RCPT", f"TO:<{to}>")
            smtp.docmd("DATA")
            assert smtp.sock is not None
            smtp.sock.sendall(compose(message, eight_bit) + b".\r\n")
            assert smtp.getreply()[0] == 250
    yield count


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    _part(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
