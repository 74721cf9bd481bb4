"""What every test may lean on: a printed seed, a fixed clock, and no silent skip in CI."""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

import pytest
from django.utils import translation

SEED = int(os.environ["PERENNIAL_SEED"])
PROVE = os.environ.get("PERENNIAL_PROVE") == "1"
NO_SKIP = os.environ.get("PERENNIAL_NO_SKIP") == "1"


@pytest.fixture
def now() -> datetime:
    """Return a fixed Monday morning, 2 November 2026 10:00 UTC; pass it wherever `now` is asked for."""
    return datetime(2026, 11, 2, 10, tzinfo=UTC)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Return a generator drawn from the printed seed and the test's name, whatever the order of tests."""
    return random.Random(f"{SEED}:{request.node.nodeid}")


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """Each test begins in the installation's language: a page asked for in another leaves its thread in that one."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def prove() -> bool:
    """Say whether this is the full run (`make prove`) rather than the short form."""
    return PROVE


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hand hypothesis the same seed, and its size: short, or full under PERENNIAL_PROVE."""
    if not config.pluginmanager.hasplugin("hypothesispytest"):
        return
    from hypothesis import HealthCheck, settings

    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)
    slow_machine = [HealthCheck.too_slow]
    settings.register_profile("test", max_examples=50, deadline=None, suppress_health_check=slow_machine)
    settings.register_profile("prove", max_examples=1000, deadline=None, suppress_health_check=slow_machine)
    settings.load_profile("prove" if PROVE else "test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what means something on PostgreSQL only when the run is on another database."""
    if not any(item.get_closest_marker("postgres") for item in items):
        return
    from django.db import connection

    if connection.vendor == "postgresql":
        return
    left_out = [item for item in items if item.get_closest_marker("postgres")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("postgres")]


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where skips are not allowed; an expected failure is no skip."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a whole module that skips itself."""
    report = yield
    _forbid_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seed even under -q, where the header is not shown."""
    terminalreporter.write_line(f"seed: PERENNIAL_SEED={SEED} repeats this run")


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIP and report.skipped:
        where = report.longrepr
        reason = where[2] if isinstance(where, tuple) else str(where)
        report.outcome = "failed"
        report.longrepr = f"skipped where PERENNIAL_NO_SKIP=1 allows no skip: {reason}"
