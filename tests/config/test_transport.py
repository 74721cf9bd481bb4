"""The file broker: several processes write and take thousands of messages; none is lost, none comes twice."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from config.transport import names, prune, put, take

WRITERS, TAKERS, EACH = 2, 3, 1500


def write(folder: Path, writer: int) -> None:
    for number in range(EACH):
        put(folder / "messages" / "q", f"{writer}:{number}:".encode() + b"x" * 2000)


def consume(folder: Path, out: Any, total: int) -> None:
    taken = folder / "taken"
    found: list[str] = []
    limit = time.monotonic() + 60
    while time.monotonic() < limit and not (folder / "done").exists():
        for name in names(folder / "messages" / "q"):
            payload = take(folder / "messages" / "q" / name, taken)
            if payload is not None:
                assert len(payload) > 2000
                found.append(payload.decode().rpartition(":")[0])
    out.put(found)


def test_three_consumers_lose_and_double_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    context, total = multiprocessing.get_context("spawn"), WRITERS * EACH
    out: Any = context.Queue()
    takers = [context.Process(target=consume, args=(tmp_path, out, total)) for _ in range(TAKERS)]
    writers = [context.Process(target=write, args=(tmp_path, n)) for n in range(WRITERS)]
    for process in (*takers, *writers):
        process.start()
    for process in writers:
        process.join(60)
    while names(tmp_path / "messages" / "q"):
        time.sleep(0.05)
    time.sleep(0.2)
    (tmp_path / "done").touch()
    shares = [out.get(timeout=20) for _ in takers]
    for process in takers:
        process.join(20)
    counts = Counter(name for share in shares for name in share)
    assert counts == Counter({f"{writer}:{number}": 1 for writer in range(WRITERS) for number in range(EACH)})
    assert list((tmp_path / "taken").iterdir()) == []


@pytest.fixture
def wire(tmp_path: Path, settings: Any) -> Any:
    import config.celery  # noqa: F401 - importing puts our transport in place of kombu's

    with Connection("filesystem://", transport_options={"folder": str(tmp_path / "queue")}) as made:
        yield made


def test_kombu_speaks_through_it_in_order(wire: Any) -> None:
    with wire.SimpleQueue("hints") as queue:
        for number in range(50):
            queue.put({"shard": number})
        assert queue.qsize() == 50
        got = []
        for _ in range(50):
            message = queue.get(timeout=2)
            got.append(message.payload["shard"])
            message.ack()
    assert got == list(range(50))
    assert type(wire.transport).__name__ == "SafeFiles"


def test_what_was_not_acknowledged_goes_back_on_an_orderly_end(wire: Any) -> None:
    with wire.SimpleQueue("hints") as queue:
        queue.put({"shard": 1})
        queue.get(timeout=2)
    wire.default_channel.close()
    wire.close()
    with wire.clone() as again, again.SimpleQueue("hints") as queue:
        assert queue.get(timeout=2).payload == {"shard": 1}


def test_a_queue_name_cannot_leave_the_folder(wire: Any, tmp_path: Path) -> None:
    with wire.SimpleQueue("../../evil") as queue:
        queue.put({"shard": 1})
    assert [path.name for path in (tmp_path / "queue" / "messages").iterdir()] == ["..%2F..%2Fevil"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queue"]


def test_leftovers_of_the_dead_are_pruned(tmp_path: Path) -> None:
    folder = tmp_path / "messages" / "q"
    kept = put(folder, b"{}")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "9-old.msg").write_bytes(b"")
    (folder / ".half").write_bytes(b"")
    assert prune(tmp_path) == 0
    assert prune(tmp_path, older_than=-1) == 2
    assert names(folder) == [kept.name]
