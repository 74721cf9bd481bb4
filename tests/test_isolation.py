"""The test run itself: no silent skip, a share of the broker for each worker, a seed that repeats."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.isolation import isolate, redis_share, server_share

ROOT = Path(__file__).parents[1]
SKIPS = """
import pytest
def test_passes(): pass
def test_skips(): pytest.skip("no such tool")
@pytest.mark.skipif(True, reason="not here")
def test_is_marked(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_is_expected_to_fail(): assert False
"""
HOOKS = """
from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport, pytest_terminal_summary
"""


def run_pytest(folder: Path, *args: str, **environ: str) -> str:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(HOOKS)
    (folder / "test_skips.py").write_text(SKIPS)
    (folder / "test_module_skips.py").write_text('import pytest\npytest.importorskip("no_such_module")\n')
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PERENNIAL_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.isolation", "-p", "no:django", *args]
    environ = {**clean, "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_skip_fails_where_none_is_allowed(tmp_path: Path, workers: str) -> None:
    out = run_pytest(tmp_path, "-n", workers, "--continue-on-collection-errors", PERENNIAL_NO_SKIP="1")
    assert "1 passed, 1 xfailed" in out
    assert "skipped," not in out.splitlines()[-1]
    assert "allows no skip: Skipped: no such tool" in out
    assert "allows no skip: Skipped: not here" in out
    assert "allows no skip: Skipped: could not import 'no_such_module'" in out


def test_a_skip_stays_a_skip_elsewhere(tmp_path: Path) -> None:
    assert "1 passed, 3 skipped, 1 xfailed" in run_pytest(tmp_path)


def test_the_seed_is_printed_and_kept(tmp_path: Path) -> None:
    assert "PERENNIAL_SEED=77 repeats" in run_pytest(tmp_path, PERENNIAL_SEED="77")


@pytest.mark.parametrize(
    ("url", "worker", "expected"),
    [
        ("redis://127.0.0.1:6379/9", "main", "redis://127.0.0.1:6379/9"),
        ("redis://127.0.0.1:6379/9", "gw0", "redis://127.0.0.1:6379/9"),
        ("redis://127.0.0.1:6379/9", "gw1", "redis://127.0.0.1:6379/10"),
        ("redis://127.0.0.1:6379/15", "gw1", "redis://127.0.0.1:6379/0"),
        ("redis://127.0.0.1:6379", "gw3", "redis://127.0.0.1:6379/3"),
    ],
)
def test_each_worker_has_its_own_redis_database(url: str, worker: str, expected: str) -> None:
    assert redis_share(url, worker) == expected


@pytest.mark.parametrize(
    ("url", "worker", "expected"),
    [
        ("postgres://me:pw@db:5432/x", "main", "postgres://me:pw@db:1/x"),
        ("postgres://me:pw@db:5432/x", "gw1", "postgres://me:pw@db:2/x"),
        ("postgres://me@127.0.0.1/x?a=b", "gw0", "postgres://me@127.0.0.1:1/x?a=b"),
    ],
)
def test_each_worker_has_its_own_server_where_there_are_several(url: str, worker: str, expected: str) -> None:
    assert server_share(url, worker, ["1", "2"]) == expected


def test_more_workers_than_servers_is_an_error() -> None:
    with pytest.raises(IndexError):
        server_share("postgres://db/x", "gw2", ["1", "2"])


def test_each_worker_has_its_own_var_folder(tmp_path: Path) -> None:
    folders = set()
    for worker in ("gw0", "gw1"):
        environ = {"PYTEST_XDIST_WORKER": worker, "PERENNIAL_TEST_ROOT": str(tmp_path)}
        isolate(environ)
        folders.add(environ["PERENNIAL_VAR"])
    assert folders == {str(tmp_path / "gw0"), str(tmp_path / "gw1")}


def test_a_generator_repeats_by_seed_and_name(rng: random.Random, request: pytest.FixtureRequest) -> None:
    again = random.Random(f"{os.environ['PERENNIAL_SEED']}:{request.node.nodeid}")
    assert rng.random() == again.random()
