"""The UTM report: figures by hand, a balance to the cent, its notes and refusals, and the same as CSV and data."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from campaigns.exports import table_csv, table_data
from campaigns.models import Credit
from campaigns.reports import Table, reports
from common.params import Invalid, read_params
from messaging.models import Click
from tests.campaigns.stories import UTM, click, make_campaign, make_delivery, make_goal, order, read_all, say, visit
from tests.people import NOW, make_profile

transactional = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REPORT = reports.get("utm-conversions")


def run(now: datetime = NOW + DAY, **raw: Any) -> Table:
    return REPORT.run(read_params(REPORT.Params, raw), now)


def figures(table: Table, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in table.rows]


def a_small_story() -> None:
    """Two mails of win-back and one of welcome; two orders after clicks, one after nothing."""
    make_goal(make_campaign())
    mei, bo, gone = make_profile(), make_profile(), make_profile()
    first = make_delivery(mei, opened_at=NOW, clicked_at=NOW, reached=4)
    make_delivery(gone, reached=6)
    make_delivery(gone, ghost=True, state="skipped")
    make_delivery(gone, state="in_doubt")
    make_delivery(gone, at=NOW - 60 * DAY)
    second = make_delivery(bo, utm={**UTM, "utm_campaign": "welcome", "utm_id": "c-2"}, reached=7)
    click(mei, first, NOW)
    visit(mei, NOW + HOUR, "utm_source=google&utm_medium=cpc&utm_campaign=brand")
    order(mei, NOW + 2 * HOUR, 1001, ref="A")
    click(bo, second, NOW)
    order(bo, NOW + HOUR, 2000, ref="B")
    say(bo, "Order Refunded", NOW + 2 * HOUR, value=-500, properties={"order_id": "B"})
    order(gone, NOW, 300, ref="C")
    Click.objects.create(delivery=first, kind="open", at=NOW, machine=True)
    read_all()


@transactional
def test_the_figures_of_a_small_story_by_linear_credit() -> None:
    a_small_story()
    table = run(model="linear", by=["campaign"])
    names = ("campaign", "sent", "delivered", "opens", "clicks", "conversions", "revenue", "unsubscribes")
    assert figures(table, *names) == [
        ("welcome", 1, 1, 0, 0, 1.0, 1500, 1),
        ("winback", 2, 1, 1, 1, 0.5, 501, 0),
        ("brand", 0, 0, 0, 0, 0.5, 500, 0),
        ("(not credited)", 0, 0, 0, 0, 1, 300, 0),
    ]
    assert table.total == {
        "sent": 3, "delivered": 2, "opens": 1, "clicks": 1, "conversions": 3, "revenue": 2801, "unsubscribes": 1,
    }  # fmt: skip
    assert table.refusals == []


@transactional
def test_last_touch_gives_it_all_to_the_last() -> None:
    a_small_story()
    table = run(by="source, campaign")
    assert figures(table, "source", "campaign", "conversions", "revenue") == [
        ("shop", "welcome", 1.0, 1500),
        ("google", "brand", 1.0, 1001),
        ("shop", "winback", 0, 0),
        ("(not credited)", "", 1, 300),
    ]


@transactional
def test_what_is_printed_beside_the_figures() -> None:
    a_small_story()
    said = run(model="linear").notes
    assert [english for english, _ in said] == [
        "The days are 2026-02-02 to 2026-03-03, both counted, in the time zone UTC.",
        "Credit follows the model “Linear”.",
        "A click can earn credit within its goal's window (5 days by default), a visit with UTM within 30 days.",
        "Every touch on the way counts.",
        "1 open or click by a machine is left out.",
        "Of 28.01 USD in all, 25.01 USD is credited to touches and 3.00 USD is not.",
        "No lift is shown, because no journey here holds anybody out.",
    ]
    assert [chinese for _, chinese in said] == [
        "统计 2026-02-02 至 2026-03-03（含首尾），时区为 UTC。",
        "归因采用“平均分配”模型。",
        "点击可在其目标窗口内（默认 5 天）获得归因，带 UTM 的访问为 30 天。",
        "路径上的每个触点都计入。",
        "已排除 1 次机器打开与点击。",
        "收入共 28.01 USD，其中 25.01 USD 已归因，3.00 USD 未归因。",
        "没有旅程设置对照组，因此不显示提升。",
    ]


@transactional
def test_where_there_is_nothing_the_notes_say_so_plainly(settings: Any) -> None:
    settings.ATTRIBUTION_PATH = "exposure"
    assert run(by="source").notes[3:] == [
        ("Repeats of one link in a row count as one touch.", "连续重复的同一触点只计一次。"),
        ("No machine opened or clicked anything.", "没有机器打开或点击。"),
        ("Nobody converted in these days.", "这些日期内没有转化。"),
    ]


@transactional
def test_it_refuses_when_a_cent_is_missing() -> None:
    a_small_story()
    row = Credit.objects.filter(model="linear").first()
    assert row is not None
    Credit.objects.filter(pk=row.pk).update(amount=row.amount - 1)
    table = run(model="linear", by=["campaign"])
    assert [row["revenue"] for row in table.rows] == [None] * 4
    assert (table.total["revenue"], table.total["sent"]) == (None, 3)
    assert table.refusals == [
        (
            "Conversions and revenue are hidden, because what is credited and what is not do not add up to the total:"
            " 28.00 USD against 28.01 USD, 3 conversions against 3.",
            "转化与收入已隐藏，因为已归因与未归因之和不等于总数："
            "收入 28.00 USD，总数 28.01 USD；转化 3 次，总数 3 次。",
        )
    ]
    assert run(model="last").refusals == []


@pytest.mark.parametrize(
    ("zone", "inside", "outside"),
    [
        ("Asia/Shanghai", datetime(2026, 3, 1, 16, tzinfo=UTC), datetime(2026, 3, 2, 16, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC)),
    ],
)
@transactional
def test_a_day_is_the_workspaces_day(zone: str, inside: datetime, outside: datetime, settings: Any) -> None:
    """1 March 16:00 UTC is 2 March in Shanghai; 8 March 2026 has 23 hours in New York."""
    settings.WORKSPACE_ZONE = zone
    day = date(2026, 3, 2) if zone.startswith("Asia") else date(2026, 3, 8)
    mei = make_profile()
    make_goal()
    for at in (inside - timedelta(seconds=1), inside, outside - timedelta(seconds=1), outside):
        make_delivery(mei, at=at)
        order(mei, at, 100)
    read_all()
    table = run(now=outside + DAY, **{"from": day, "to": day})
    assert (table.total["sent"], table.total["conversions"]) == (2, 2)


@transactional
def test_nothing_at_all_is_an_empty_table() -> None:
    table = run()
    assert (list(table.rows), table.total["revenue"], table.refusals) == ([], 0, [])


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"by": "shoe"}, "by"), ({"by": ""}, "by"), ({"model": "magic"}, "model"), ({"from": "soon"}, "from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, ""), ({"from": "0001-01-01"}, "from"), ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_told_with_their_place(raw: dict[str, str], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_params(REPORT.Params, raw)
    assert [problem.path for problem in caught.value.problems] == [path]


@transactional
def test_csv_and_data_are_the_same_table() -> None:
    a_small_story()
    make_delivery(make_profile(), utm={"utm_campaign": "x", "utm_content": "=HYPERLINK(1)"})
    table = run(model="linear", by=["campaign", "content"])
    lines = list(csv.reader(io.StringIO("".join(table_csv(table)).removeprefix("\ufeff"))))
    assert lines[0][:4] == ["Campaign", "Content", "Sent", "Delivered"]
    assert lines[0][-2:] == ["Revenue (USD)", "Unsubscribes"]
    data = table_data(table)
    assert [row["campaign"] for row in data["rows"]] == [line[0] for line in lines[1 : 1 + len(data["rows"])]]
    assert lines[1 + len(data["rows"])][-2] == "28.01"
    assert data["total"]["revenue"] == 2801
    assert lines[lines.index([]) + 1][0].startswith("# Messages by the day")
    assert "".join(table_csv(table, "zh-hans")).startswith("\ufeff活动,内容,发送")


def test_no_cell_runs_as_a_formula() -> None:
    from campaigns.reports import Column

    table = Table([Column("a", "A", "甲"), Column("b", "B", "乙", "money")], [{"a": "=1+1", "b": -5}], currency="USD")
    assert list(table_csv(table))[1] == "'=1+1,-0.05\r\n"
