"""The independent witness: an SMTP server that writes one JSON line per accepted mail before it answers 250.

Run as a process of its own: python -m tests.sink PORT FILE. The recipient's local part chooses the behaviour:
temp- 451 at RCPT · perm- 550 at RCPT · grey- 451 the first time · slow- answers DATA after 0.3 s · late- records,
answers after 40 s · drop- records, closes · datatemp- 451 after DATA · dataperm- 554 after DATA · busy- 421 at MAIL.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Witness:
    """aiosmtpd's handler: decides by the address, and writes before it accepts."""

    def __init__(self, file: Path) -> None:
        self.out = file.open("a", buffering=1)
        self.greyed: set[str] = set()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        mode = address.partition("-")[0]
        if mode == "temp" or (mode == "grey" and address not in self.greyed):
            self.greyed.add(address)
            return "451 4.7.1 later"
        if mode == "perm":
            return "550 5.1.1 no such mailbox"
        if mode == "busy":
            return "421 4.3.2 closing"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mode = envelope.rcpt_tos[0].partition("-")[0]
        if mode in ("datatemp", "dataperm"):
            return "451 4.3.0 later" if mode == "datatemp" else "554 5.6.0 refused"
        self.write(envelope)
        if mode in ("slow", "late"):
            await asyncio.sleep(0.3 if mode == "slow" else 40)
        if mode == "drop":
            server.transport.abort()
        return "250 OK"

    def write(self, envelope: Envelope) -> None:
        raw = bytes(envelope.content or b"")
        message = message_from_bytes(raw)
        line = {
            "at": time.time(),
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "message_id": message["Message-ID"],
            "headers": {name: str(value) for name, value in message.items()},
            "digest": hashlib.sha256(raw).hexdigest(),
            "raw": raw.decode("utf-8", "replace"),
        }
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()


async def serve(port: int, file: Path) -> None:
    witness = Witness(file)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(witness, enable_SMTPUTF8=True, ident="sink"), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
