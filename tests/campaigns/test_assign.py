"""Drawing arms: the same id draws the same arm everywhere, salts are independent, larger holdouts keep the old."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

from common.buckets import pick, unit

IDS = [str(UUID(int=n * 7919)) for n in range(20_000)]


def test_the_published_vectors() -> None:
    assert round(unit("exp1", "user42"), 10) == 0.8140043644
    assert round(unit("exp1", "user43"), 10) == 0.9293056222


def test_the_same_id_draws_the_same_arm_in_another_process() -> None:
    code = (
        "from common.buckets import pick; from uuid import UUID;"
        "print(''.join(str(pick('s', str(UUID(int=n * 7919)), [1, 2, 3])) for n in range(500)))"
    )
    env = {"PYTHONHASHSEED": "7", "PATH": ""}
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, cwd=".")
    assert there.stdout.strip() == "".join(str(pick("s", one, [1, 2, 3])) for one in IDS[:500])


def test_raising_the_holdout_keeps_every_old_member() -> None:
    small = {one for one in IDS if pick("salt", one, [0.05, 0.95]) == 0}
    large = {one for one in IDS if pick("salt", one, [0.10, 0.90]) == 0}
    assert small < large
    assert abs(len(small) / len(IDS) - 0.05) < 0.006
    assert abs(len(large) / len(IDS) - 0.10) < 0.008


def test_another_salt_is_independent() -> None:
    """Chi-square of the 2×2 table of two salts: below 10.83, that is p above .001."""
    table = [[0, 0], [0, 0]]
    for one in IDS:
        table[pick("a", one, [1, 1])][pick("b", one, [1, 1])] += 1
    total = len(IDS)
    rows = [sum(row) for row in table]
    columns = [sum(row[n] for row in table) for n in range(2)]
    chi = sum(
        (table[i][j] - rows[i] * columns[j] / total) ** 2 / (rows[i] * columns[j] / total)
        for i in range(2) for j in range(2)
    )  # fmt: skip
    assert chi < 10.83
