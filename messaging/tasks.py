"""Celery's door to the outbox: "look now"; the verbs find what there is to do."""

from __future__ import annotations

import imaplib
import logging
import os
import socket

from celery import shared_task

from common.clock import now as clock_now
from messaging.answers import settle_clicks
from messaging.asking import ask_all
from messaging.best_hours import learn_hours
from messaging.consents import read_consents
from messaging.copywriting.asking import answer_due
from messaging.fallback import fall_back
from messaging.hearing import obey_waiting
from messaging.mailbox import fetch_mail, mailboxes
from messaging.outbox.books import reconcile as reconcile_ledger
from messaging.outbox.send import send_due
from messaging.outbox.sweep import sweep as sweep_ledger
from messaging.quarantine import work_off
from messaging.sunset import run_sunset
from messaging.words import match_receipts

log = logging.getLogger(__name__)


@shared_task(name="messaging.tasks.send")
def send() -> None:
    """Hear who agreed or refused, then send what is due; finds nothing when another worker was first."""
    read_consents(clock_now())
    ask_all(clock_now())
    send_due(worker=f"{socket.gethostname()}:{os.getpid()}", now_fn=clock_now)


@shared_task(name="messaging.tasks.write_copy")
def write_copy() -> None:
    """Ask the model one question that waits; without a model, or a question, nothing."""
    answer_due(clock_now())


@shared_task(name="messaging.tasks.sweep")
def sweep() -> None:
    """Free, conclude and expire what is stuck; try by another way what surely failed by one."""
    sweep_ledger(clock_now())
    fall_back(clock_now())


@shared_task(name="messaging.tasks.listen")
def listen() -> None:
    """Judge the clicks that waited to be judged, match receipts that came before their message was known, and obey what
    people wrote that could not be obeyed before."""
    now = clock_now()
    settle_clicks(now)
    match_receipts(now)
    obey_waiting(now)
    work_off(now)


@shared_task(name="messaging.tasks.fetch")
def fetch() -> None:
    """Look into the mailboxes to which returned mail goes; one that cannot be reached does not stop the others."""
    for account in mailboxes():
        try:
            fetch_mail(account, now=clock_now())
        except (OSError, imaplib.IMAP4.error) as error:
            log.warning("mailbox of account %s: %s", account.key, type(error).__name__)


@shared_task(name="messaging.tasks.reconcile")
def reconcile() -> None:
    """Count the last days' messages against themselves, once a day."""
    reconcile_ledger(clock_now())


@shared_task(name="messaging.tasks.keep_habits")
def keep_habits() -> None:
    """Where a rule asks for it: slow down for who does not read us, and learn the hours at which people read."""
    run_sunset(clock_now())
    learn_hours(clock_now())
