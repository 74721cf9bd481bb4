"""Messages a second through gates, render, links, MIME and SMTP, against a bare render + SMTP loop.

Two sending processes against two bare loops, with the same template, skeleton and smtplib, to postfix's smtp-sink. Two
idle-class spinners keep the cores awake, else the bare loop waits on sleeping ones and the ratio flatters. Beside it:
one sending process, django-post_office with the same mail, and what a message costs by part.
"""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from statistics import median
from typing import Any

from bench import budget
from bench.mail import ENVIRON, HTML, ITEMS, SENDER, SUBJECT, TEXT, Sink, awake, make_account, plan, sink
from bench.measure import ROUNDS, Board, Line
from bench.stage import SCALE

PROCESSES = 2
MESSAGES = int(20_000 * SCALE) // PROCESSES * PROCESSES
RIVALS = max(200, MESSAGES // 10)  # messages of the rival, which takes longer over each
WORKER_MB = 160


def run(board: Board) -> None:
    """Print the ratios; they gate on PostgreSQL."""
    seen: dict[str, list[dict[str, Any]]] = {"bare": [], "ours": [], "alone": []}
    rivals: list[float] = []
    with sink() as server, awake():
        make_account(server.port)
        for number in range(ROUNDS):
            seen["bare"].append(_race("bare", server, PROCESSES, MESSAGES))
            for part, processes in (("ours", PROCESSES), ("alone", 1)):
                plan(number, part, MESSAGES)
                seen[part].append(_race("ours", server, processes, MESSAGES))
                assert seen[part][-1]["messages"] == MESSAGES, seen[part][-1]
            rivals.append(_rival(server.port))
    _tell(board, seen, median(rivals))


def _tell(board: Board, seen: dict[str, list[dict[str, Any]]], rival: float) -> None:
    bare, ours, alone = (median(one["rate"] for one in seen[part]) for part in ("bare", "ours", "alone"))
    used = median(one["cpu"] for one in seen["bare"])
    detail = f"two processes each; the bare loops used {used:.0%} of a core each"
    board.add(Line("outbox / bare render + SMTP", f"{ours:,.0f}/s", f"{bare:,.0f}/s", ours / bare, 0.5, detail))
    board.add(Line("outbox / django-post_office", f"{ours:,.0f}/s", f"{rival:,.0f}/s", ours / rival, 3.5))
    board.add(Line("outbox: two senders / one", f"{ours:,.0f}/s", f"{alone:,.0f}/s", ours / alone, 1.15))
    waits = max(one["waits"] for one in seen["ours"])
    board.add(Line("outbox: looks that saw a sender wait for a lock", f"{waits}", "0", 1.0 if not waits else 0.0, 1))
    used_mb = max(one["memory"] for one in seen["ours"])
    board.memory("outbox: a sender", limit=WORKER_MB, used=used_mb)
    parts = seen["ours"][-1]["parts"]
    print("       a message costs, in µs of a sender's time: " + ", ".join(f"{k} {v:.0f}" for k, v in parts.items()))
    for part in ("ours", "bare"):
        last = seen[part][-1]
        print(f"       in µs of processors, {part}: {budget.each(last['spent'], last['messages'])}")


def _race(part: str, server: Sink, processes: int, messages: int) -> dict[str, Any]:
    """Start the processes, let them go together, and add up what they did."""
    command = [sys.executable, "-m", "bench.outbox", part, str(server.port), str(messages // processes)]
    environ = {**os.environ, **ENVIRON}
    runners = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for _ in range(processes)
    ]
    for runner in runners:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
    before = budget.used(server.pid)
    with _Watch() as watch:
        for runner in runners:
            assert runner.stdin is not None
            runner.stdin.write("go\n")
            runner.stdin.flush()
        told: list[dict[str, Any]] = []
        for runner in runners:
            assert runner.stdout is not None
            told.append(json.loads(runner.stdout.readlines()[-1]))
            runner.wait()
    longest = max(one["seconds"] for one in told)
    total = sum(one["messages"] for one in told)
    spent = {name: sum(one["spent"].get(name, 0.0) for one in told) for name in budget.NAMES}
    spent |= {"chores": watch.chores, "mail server": budget.used(server.pid) - before}
    return {
        "spent": spent,
        "messages": total,
        "rate": total / longest,
        "memory": max(one["memory"] for one in told),
        "cpu": max(one["cpu"] / one["seconds"] for one in told),
        "parts": told[0]["parts"],
        "waits": watch.waits,
    }


class _Watch(threading.Thread):
    """Looks fifty times a second whether one of the database's sessions waits for another's lock for over 10 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.waits, self.chores = 0, 0.0
        self._done = threading.Event()

    def run(self) -> None:
        from django.db import connection

        waiting = (
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE NOT l.granted AND l.waitstart < clock_timestamp() - interval '10 ms'"
            " AND a.datname = current_database()"
        )
        with connection.cursor() as cursor:
            backend = connection.connection.info.backend_pid
            before = budget.chores(backend)
            while not self._done.wait(0.02):
                cursor.execute(waiting)
                self.waits += cursor.fetchone()[0]
            self.chores = budget.chores(backend) - before
        connection.close()

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


def _rival(port: int) -> float:
    """Messages a second of django-post_office."""
    command = [sys.executable, "-m", "bench.rival", str(port), str(RIVALS)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(said.splitlines()[-1])["rate"])


def _part(part: str, port: int, count: int) -> None:
    """One process of the race."""
    import django

    django.setup()
    from bench.measure import peak_mb

    parts: dict[str, float] = {}
    work = _bare(port, count) if part == "bare" else _ours(parts)
    next(work)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu, before = time.perf_counter(), time.process_time(), _spent()
    done = next(work)
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in _spent().items()}
    each = {name: 1e6 * seconds / max(done, 1) for name, seconds in parts.items()}
    print(json.dumps({"messages": done, **took, "spent": spent, "memory": peak_mb(), "parts": each}))


def _spent() -> budget.Spent:
    """Processor seconds of this process, its renderer and its session so far."""
    from messaging.render import kept

    return {"sender": time.process_time(), "renderer": budget.used(kept.pid()), "session": budget.session()}


def _ours(parts: dict[str, float]) -> Iterator[int]:
    from common.clock import now
    from messaging.outbox import group, send

    warm = send.send_due(worker="bench", now_fn=lambda: datetime(2000, 1, 1, tzinfo=UTC))
    yield warm.claimed
    for module, name, called in (
        (send, "claim_due", "claim"), (send._Run, "_prepare", "render"), (group, "_judge_under_locks", "gate"),
        (group, "_settle_and_mark", "settlement and marker"), (send, "mark_group", "whole commit"),
        (send, "hand_over", "channel"),
    ):  # fmt: skip
        setattr(module, name, _timed(getattr(module, name), parts, called))
    report = send.send_due(worker="bench", now_fn=now, seconds=600)
    yield report.states.get("accepted", 0)


def _timed(work: Callable[..., Any], parts: dict[str, float], name: str) -> Callable[..., Any]:
    """The same function; the seconds spent in it add up under its name."""

    @wraps(work)
    def timed(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*args, **named)
        finally:
            parts[name] = parts.get(name, 0.0) + time.perf_counter() - began

    return timed


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
