"""`python -m bench [NAME …]`: run the benches, print their ratios, exit 1 when one falls below its floor.

Each may be run by itself: `make bench ARGS="segments"`. PostgreSQL is reached by BENCH_DATABASE_URL (a database that
may be dropped, with others beside it that bear its name). BENCH_SCALE (default 1) shrinks the population of one million
people, ten million events and two million orders; populations are kept for later runs. BENCH_MINUTES (default 60) is
how long one bench may take.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import pkgutil
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ["DATABASE_URL"] = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/perennial_bench")

HERE = Path(__file__).parent
NOT_BENCHES = {"__main__", "measure", "data", "stage", "budget", "questions", "changes", "mail", "rival"}


def main(words: list[str]) -> int:
    """Prepare the database, run each bench that is asked for (all by default), say whether all floors hold."""
    wanted = _asked(words)
    from bench.stage import prepare

    prepare()
    from bench.measure import Board, bounded, machine

    board = Board()
    print(machine())
    board.head()
    for name in wanted:
        with bounded(name, float(os.environ.get("BENCH_MINUTES", "60"))):
            importlib.import_module(f"bench.{name}").run(board)
    return board.verdict()


def _asked(words: list[str]) -> list[str]:
    names = [info.name for info in pkgutil.iter_modules([str(HERE)]) if info.name not in NOT_BENCHES]
    told = "\n".join(f"  {name:10} {_first_line(name)}" for name in names)
    parser = argparse.ArgumentParser(
        "bench", description=f"{__doc__}\nThe benches:\n{told}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*names, []], help="which ones; all by default")
    return parser.parse_args(words).names or names


def _first_line(name: str) -> str:
    said = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return said.splitlines()[0] if said else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
