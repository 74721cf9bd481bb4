"""Hand returned mail to the engine: piped by the mail server, from files or a maildir, or by asking an IMAP mailbox."""

from __future__ import annotations

import mailbox as mailboxes
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext_lazy as _

from common.clock import now as clock_now
from messaging.mailbox import LARGEST, Fetched, fetch_mail, take_mail
from messaging.models import Account


class Command(BaseCommand):
    """`| manage.py take_mail mail` in an alias; `--maildir DIR` moves what it took from new/ to cur/."""

    help = str(_("Take bounces, complaints and replies: from standard input, files, a maildir or IMAP"))

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help=str(_("the key of the account that sent")))
        parser.add_argument("files", nargs="*", type=Path, help=str(_("mails in files; none: standard input")))
        parser.add_argument("--maildir", type=Path, help=str(_("a maildir, whose new mails are taken")))
        parser.add_argument("--imap", action="store_true", help=str(_("look into the account's IMAP mailbox")))

    def handle(self, *args: Any, **options: Any) -> None:
        account = Account.objects.filter(key=options["account"]).first()
        if account is None:
            raise CommandError(str(_("there is no account '%s'")) % options["account"])
        now, total = clock_now(), Fetched()
        if options["imap"]:
            total = fetch_mail(account, now=now)
        else:
            for raw in _mails(options):
                one = take_mail(raw, account=account, now=now)
                total = Fetched(total.mails + 1, total.new + one.new, total.ignored + one.ignored)
        self.stdout.write(f"{total.mails} mails, {total.new} new, {total.ignored} ignored")


def _mails(options: dict[str, Any]) -> Iterator[bytes]:
    if options["maildir"]:
        yield from _new_ones(options["maildir"])
    elif options["files"]:
        yield from (path.read_bytes()[:LARGEST] for path in options["files"])
    else:
        yield sys.stdin.buffer.read(LARGEST)


def _new_ones(folder: Path) -> Iterator[bytes]:
    """Each mail in new/, moved to cur/ as seen once it was taken."""
    box = mailboxes.Maildir(folder, create=False)
    for key in list(box.iterkeys()):
        mail = box.get_message(key)
        if mail.get_subdir() != "new":
            continue
        yield box.get_bytes(key)[:LARGEST]
        mail.set_subdir("cur")
        mail.add_flag("S")
        box[key] = mail
