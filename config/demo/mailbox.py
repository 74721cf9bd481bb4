"""The demo's post office: an SMTP server on this machine that keeps every mail as a file, for all addresses.

Run as a process: python -m config.demo.mailbox PORT FOLDER. A mail is in the folder, whole, before it is accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

KEEP = 20_000
NAME = re.compile(r"\d{20}-\d{6}-\d+")
_count = itertools.count()


@dataclass(frozen=True)
class Mail:
    """One mail as the list shows it; `id` is its file's name and sorts by arrival."""

    id: str
    at: datetime
    to: str
    subject: str


def store(folder: Path, content: bytes) -> str:
    """Keep one mail; returns its id."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{next(_count) % 10**6:06d}-{os.getpid()}"
    hidden = folder / f".{name}"
    hidden.write_bytes(content)
    hidden.rename(folder / f"{name}.eml")
    return name


def ids(folder: Path, *, after: str = "") -> list[str]:
    """Ids of the mails that came after one, oldest first."""
    try:
        found = sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".eml"))
    except FileNotFoundError:
        return []
    return [name for name in found if name > after]


def read(folder: Path, mail_id: str) -> EmailMessage:
    """One mail, parsed. Raises FileNotFoundError, also for what is no id."""
    if not NAME.fullmatch(mail_id):
        raise FileNotFoundError(mail_id)
    return message_from_bytes((folder / f"{mail_id}.eml").read_bytes(), policy=policy.default)


def latest(folder: Path, *, to: str = "", limit: int = 100) -> Iterator[Mail]:
    """The newest mails first; with `to`, only those whose recipient or subject contains it."""
    left = limit
    for mail_id in reversed(ids(folder)):
        message = read(folder, mail_id)
        mail = Mail(mail_id, at_of(mail_id), str(message["To"] or ""), str(message["Subject"] or ""))
        if to.lower() not in f"{mail.to} {mail.subject}".lower():
            continue
        yield mail
        left -= 1
        if not left:
            return


def at_of(mail_id: str) -> datetime:
    """When a mail came in."""
    return datetime.fromtimestamp(int(mail_id[:20]) / 1e9, UTC)


def part(message: EmailMessage, kind: str) -> str:
    """The text of the first part of a kind ("html" or "plain"), or ""."""
    found = message.get_body(preferencelist=(kind,))
    return str(found.get_content()) if found is not None else ""


def prune(folder: Path, *, keep: int = KEEP) -> int:
    """Throw the oldest away beyond `keep`; returns how many."""
    old = ids(folder)[:-keep] if keep else ids(folder)
    for mail_id in old:
        (folder / f"{mail_id}.eml").unlink(missing_ok=True)
    return len(old)


class Keeper:
    """aiosmtpd's handler: accept for everybody, keep, answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return f"250 OK {store(self.folder, envelope.content)}"


async def serve(port: int, folder: Path) -> None:
    """Take mail until cancelled."""
    from aiosmtpd.smtp import SMTP

    prune(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keeper(folder), enable_SMTPUTF8=True, ident="Perennial demo"), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
