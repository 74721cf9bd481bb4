"""A small IMAP server on this machine (RFC 3501: what a poll needs), with one folder in memory."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Box:
    """The folder: mails and which of them are seen; `fail` names a command that is answered NO."""

    def __init__(self, *mails: bytes) -> None:
        self.mails, self.seen, self.fail = list(mails), set[int](), ""
        self.port = 0


class Handler(socketserver.StreamRequestHandler):
    """One client; user "box", password "pa55"."""

    server: Any

    @property
    def box(self) -> Box:
        return self.server.box  # type: ignore[no-any-return]

    def handle(self) -> None:
        self.say("* OK ready")
        while line := self.rfile.readline():
            tag, _, rest = line.decode().strip().partition(" ")
            self.say(f"{tag} {self.answer(rest)}")
            if rest.upper().startswith("LOGOUT"):
                return

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def answer(self, rest: str) -> str:
        command = rest.upper()
        if self.box.fail and self.box.fail in command:
            return "NO not now"
        if command.startswith("LOGIN"):
            return "OK in" if rest.replace('"', "") == "LOGIN box pa55" else "NO wrong"
        if command.startswith("UID FETCH"):
            self.fetch(command)
        elif command.startswith("UID STORE"):
            self.box.seen.add(int(re.findall(r"\d+", rest)[0]) - 1)
        else:
            self.tell(command)
        return "OK done"

    def tell(self, command: str) -> None:
        if command.startswith("CAPABILITY"):
            self.say("* CAPABILITY IMAP4rev1")
        elif command.startswith("SELECT"):
            self.say(f"* {len(self.box.mails)} EXISTS")
        elif command.startswith("UID SEARCH"):
            unseen = [str(n + 1) for n in range(len(self.box.mails)) if n not in self.box.seen]
            self.say("* SEARCH " + " ".join(unseen))

    def fetch(self, command: str) -> None:
        number = int(re.findall(r"\d+", command)[0])
        mail = self.box.mails[number - 1]
        if "RFC822.SIZE" in command:
            self.say(f"* {number} FETCH (UID {number} RFC822.SIZE {len(mail)})")
        else:
            self.wfile.write(f"* {number} FETCH (UID {number} BODY[] {{{len(mail)}}}\r\n".encode() + mail + b")\r\n")


@contextmanager
def serving(box: Box) -> Iterator[Box]:
    """The folder behind a port of its own."""
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.box = True, box
    box.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
