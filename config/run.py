"""The whole product on one machine: a supervisor that starts web, worker and beat, and starts again what dies.

Nothing is lost when a part is killed: what is due lies in the database, the broker only wakes. So the supervisor
needs no memory of its own; it keeps children alive, and takes them along when it goes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
SETTLED = 30.0
PATIENCE = 12.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Part:
    """One child: its name, its command, and what it has in its environment beyond ours."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Child:
    """A part as it runs, or waits to be started again at `again_at` (monotonic)."""

    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    again_at: float = 0.0


def fitting_threads() -> int:
    """Eight threads of the web server, or as many as a small machine's cores bear (granian warns above that)."""
    return min(8, 2 * (os.cpu_count() or 1) + 1)


def parts(*, host: str, port: int, threads: int | None = None, concurrency: int = 2) -> list[Part]:
    """Web, worker and beat of this installation."""
    threads = threads or fitting_threads()
    python, url = sys.executable, os.environ.get("PUBLIC_URL") or f"http://{host}:{port}"
    environ = {"PUBLIC_URL": url, "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings")}
    web = [
        *(python, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--workers", "1"),
        *("--blocking-threads", str(threads), "--backlog", "256", "--log-level", "warning", "config.wsgi:application"),
    ]
    worker = [
        *(python, "-m", "celery", "-q", "-A", "config", "worker", "--pool", "prefork", "-c", str(concurrency)),
        *("-l", "warning", "--without-gossip", "--without-mingle", "-n", f"worker-{port}@%h"),
    ]
    beat = [python, "-m", "celery", "-q", "-A", "config", "beat", "-l", "warning", "--pidfile", ""]
    return [Part("web", web, environ), Part("worker", worker, environ), Part("beat", beat, environ)]


def port_is_free(host: str, port: int) -> bool:
    """Whether nobody listens there yet."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def ports_taken(host: str, wanted: Mapping[str, int], *, command: str, also: Sequence[str] = ()) -> str:
    """All ports of `wanted` (by option) on which somebody listens, and the command that would go: "" when none is."""
    taken = [port for port in wanted.values() if not port_is_free(host, port)]
    if not taken:
        return ""
    fresh = [f"{option} {_free_from(host, port)}" for option, port in wanted.items()]
    said = " and ".join(map(str, taken))
    noun = f"port {said} is" if len(taken) == 1 else f"ports {said} are"
    return f'{noun} taken; this would go:  {command} ARGS="{" ".join([*fresh, *also])}"'


def _free_from(host: str, port: int) -> int:
    """The port itself if it is free, else the next free one in steps of ten."""
    return next((one for one in range(port, 65536, 10) if port_is_free(host, one)), 0)


class Supervisor:
    """Keeps children alive until told to stop; `say` gets one line per event."""

    def __init__(self, parts: Sequence[Part], *, say: Callable[[str], None] = print) -> None:
        self.children = [Child(part) for part in parts]
        self.say = say
        self.stopping = False

    def run(self) -> None:
        """Start everything and watch it until SIGTERM or SIGINT; then end everything."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        try:
            while not self.stopping:
                self.look(time.monotonic())
                time.sleep(0.2)
        finally:
            self.stop()

    def look(self, at: float) -> None:
        """Start what is due, and notice what died."""
        for child in self.children:
            if child.process is None:
                if at >= child.again_at:
                    self._start(child, at)
            elif child.process.poll() is not None:
                self._bury(child, at)

    def stop(self) -> None:
        """SIGTERM to all; SIGKILL, with all that they started, to those that take over 12 s."""
        alive = [child for child in self.children if child.process and child.process.poll() is None]
        for child in alive:
            _signal_group(child, signal.SIGTERM, leader_only=True)
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit and any(c.process and c.process.poll() is None for c in alive):
            time.sleep(0.05)
        for child in self.children:
            _signal_group(child, signal.SIGKILL)
            if child.process:
                child.process.wait()

    def _asked_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _start(self, child: Child, at: float) -> None:
        environ = {**os.environ, **child.part.environ}
        child.process = subprocess.Popen(
            child.part.command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_follow_parent
        )
        child.started_at = at

    def _bury(self, child: Child, at: float) -> None:
        """Take its leftovers along and set the time of its return: 0.5 s, doubling to 30 s while it keeps dying."""
        assert child.process is not None
        code = child.process.returncode
        _signal_group(child, signal.SIGKILL)
        child.deaths = 1 if at - child.started_at > SETTLED else child.deaths + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (child.deaths - 1))
        child.process, child.again_at = None, at + pause
        self.say(f"{child.part.name} ended ({_how(code)}); starting it again in {pause:g} s")


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"


def _signal_group(child: Child, number: int, *, leader_only: bool = False) -> None:
    """Signal the child, or its whole session: it was made the leader of one when it started."""
    if child.process is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if leader_only:
            child.process.send_signal(number)
        else:
            os.killpg(child.process.pid, number)


def _follow_parent() -> None:
    """In the child: be told to end when the supervisor is killed (Linux; elsewhere nothing)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
