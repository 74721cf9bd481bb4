"""A name server on this machine, over UDP and TCP: answers from its own zone in the wire format, slowly or not at all
if told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]  # (name, type) → records in the form of zone files


@dataclass
class NameServer:
    """`zone`: what it knows (another name of it is NODATA, any other NXDOMAIN); `silent` names get no answer, `broken`
    ones SERVFAIL; `cut` ones are truncated over UDP. `asked` are the questions, in order."""

    zone: Zone
    silent: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    port: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def answer(self, octets: bytes, over: str) -> bytes | None:
        asked = dns.message.from_wire(octets)
        question = asked.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, over))
        if name in self.silent:
            return None
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.RA
        if name in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif over == "udp" and name in self.cut:
            reply.flags |= dns.flags.TC
        elif (name, kind) in self.zone:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *self.zone[name, kind]))
        elif not any(known == name for known, _kind in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return bytes(reply.to_wire())


@contextmanager
def serving(server: NameServer) -> Iterator[NameServer]:
    """Serve until the block ends; the port is the server's, the same for UDP and TCP."""
    tcp = socket.create_server(("127.0.0.1", 0))
    server.port = tcp.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", server.port))
    stop = threading.Event()
    for one in (tcp, udp):
        one.settimeout(0.1)
    threads = [threading.Thread(target=loop, args=(server, one, stop)) for loop, one in ((_udp, udp), (_tcp, tcp))]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        tcp.close()
        udp.close()


def _udp(server: NameServer, listening: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            octets, whom = listening.recvfrom(4096)
        except TimeoutError:
            continue
        reply = server.answer(octets, "udp")
        if reply is not None:
            listening.sendto(reply, whom)


def _tcp(server: NameServer, listening: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            caller, _whom = listening.accept()
        except TimeoutError:
            continue
        with caller:
            caller.settimeout(2)
            length = int.from_bytes(_exactly(caller, 2), "big")
            reply = server.answer(_exactly(caller, length), "tcp")
            if reply is not None:
                caller.sendall(len(reply).to_bytes(2, "big") + reply)


def _exactly(caller: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = caller.recv(count - len(found))
        if not more:
            raise ConnectionError("the caller went away")
        found += more
    return found
