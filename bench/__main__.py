"""`python -m bench [NAME …]`: run the benches, print their ratios, exit 1 when one falls below its floor.

PostgreSQL is reached by BENCH_DATABASE_URL (a database that may be dropped). BENCH_SCALE (default 1) shrinks the
population of one million people and ten million events.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ["DATABASE_URL"] = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/perennial_bench")

NOT_BENCHES = {"__main__", "measure", "data", "stage", "questions"}


def main(wanted: list[str]) -> int:
    """Prepare the database, run each bench that is asked for (all by default), say whether all floors hold."""
    import bench
    from bench.stage import prepare

    prepare()
    from bench.measure import Board, machine

    print(machine())
    board = Board()
    for info in pkgutil.iter_modules(bench.__path__):
        if info.name not in NOT_BENCHES and (not wanted or info.name in wanted):
            importlib.import_module(f"bench.{info.name}").run(board)
    return 0 if board.holds() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
