"""The supervisor with real processes: what dies comes back, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from datetime import datetime

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from common import clock
from common.models import Heartbeat, Tick
from config import run
from tests.harness import Cluster, Process, wait_until


def lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def descendants(pid: int) -> set[int]:
    """Every living process below `pid`."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(name))
    found, todo = set(), [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return found


def start(cluster: Cluster) -> Process:
    command = [sys.executable, "manage.py", "run", "--port", str(cluster.web_port), "--no-migrate"]
    process = cluster.start("run", command)
    wait_until(lambda: cluster._answers(process), seconds=40, what="web answers")
    return process


def set_interval(key: str, seconds: int) -> None:
    """What an operator may do in the admin."""
    row = PeriodicTask.objects.get(name=f"perennial:{key}")
    row.interval = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")[0]
    row.save()


def slots_of(key: str, *, after: datetime | None = None) -> int:
    """How many slots of a line ran to their end (since `after`)."""
    rows = Tick.objects.filter(schedule=f"perennial:{key}", finished_at__isnull=False, error="")
    return (rows.filter(started_at__gt=after) if after else rows).count()


def pid_of(role: str) -> int | None:
    row = Heartbeat.objects.filter(role=role).order_by("-at").first()
    return int(row.process.rpartition(":")[2]) if row else None


def test_what_is_killed_comes_back_and_sigterm_ends_all(cluster: Cluster) -> None:
    set_interval("prune", 1)
    process = start(cluster)
    worker = wait_until(lambda: pid_of("worker"), seconds=30)
    wait_until(lambda: slots_of("prune"), seconds=30, what="a slot ran")

    os.kill(worker, signal.SIGKILL)
    another = wait_until(lambda: pid_of("worker") not in (None, worker) and pid_of("worker"), seconds=30)
    assert another in descendants(process.pid)
    assert worker not in descendants(process.pid)
    again = clock.now()
    wait_until(lambda: slots_of("prune", after=again), seconds=30, what="slots run again")
    assert "worker ended (signal SIGKILL); starting it again in 0.5 s" in cluster.log("run")

    below, begun = descendants(process.pid), time.monotonic()
    process.popen.terminate()
    assert process.popen.wait(15) == 0
    assert time.monotonic() - begun < 15
    wait_until(lambda: not any(map(lives, below)), seconds=1, what="no orphans")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_killing_the_supervisor_takes_its_children_along(cluster: Cluster) -> None:
    process = start(cluster)
    below = wait_until(lambda: descendants(process.pid), what="the children are there")
    assert all(map(lives, below))
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(lives, below)), seconds=15, what="no orphans")
    assert [pid for pid in below if lives(pid)] == []


def test_a_taken_port_is_told_at_once(cluster: Cluster) -> None:
    cluster.start_web()
    done = cluster.manage("run", "--port", str(cluster.web_port), check=False)
    assert done.returncode == 1
    assert f"port {cluster.web_port} is taken" in done.stderr
    assert f'make run ARGS="--port {cluster.web_port + 10}' in done.stderr


def test_all_taken_ports_are_told_together_with_what_would_go() -> None:
    def listen(port: int) -> socket.socket:
        held = socket.socket()
        held.bind(("127.0.0.1", port))
        held.listen()
        return held

    with listen(0) as one, listen(0) as two:
        wanted = {"--port": one.getsockname()[1], "--smtp-port": two.getsockname()[1]}
        said = run.ports_taken("127.0.0.1", wanted, command="make demo", also=["--shoppers"])
        assert said.startswith("ports {--port} and {--smtp-port} are taken".format(**wanted))
        found = re.search(r'make demo ARGS="--port (\d+) --smtp-port (\d+) --shoppers"$', said)
        assert found
        assert all(run.port_is_free("127.0.0.1", int(port)) for port in found.groups())
        free = one.getsockname()[1]
        one.close()
        wanted = {"--port": free, "--smtp-port": two.getsockname()[1]}
        assert f"--port {free} " in run.ports_taken("127.0.0.1", wanted, command="make demo")
    assert run.ports_taken("127.0.0.1", wanted, command="make demo") == ""


def test_the_web_server_has_no_more_threads_than_the_cores_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 3), (2, 5), (4, 8), (64, 8)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        command = list(run.parts(host="127.0.0.1", port=8000)[0].command)
        assert command[command.index("--blocking-threads") + 1] == str(threads)
