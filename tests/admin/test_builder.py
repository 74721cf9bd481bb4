"""The rule builder without a browser: what is drawn is read back, what is done is done, what is wrong is told."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override

from segments.admin.builder import draw, read_posted
from segments.admin.builder.form import Posted, read_scalar
from segments.admin.builder.inputs import inputs_of
from segments.admin.builder.problems import prove
from segments.admin.builder.suggest import source_of
from segments.admin.builder.tree import GROUPS, VERBS, can_be_drawn, changed, spots
from segments.admin.builder.widget import change_draft, focus_after, same_rule
from segments.models import Badge, EventProperty, Segment
from segments.rules.operators import operators
from tests.people import NOW, make_fact, make_profile

COUNTRY = {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}}
LAPSED = {"op": "stage", "params": {"stages": ["lapsed"]}}
EMPTY = {"op": ""}
GIVEN: dict[str, Any] = {  # values for parameters, by what the schema asks for
    "text": "some", "whole": 3, "number": 2.5, "day": "2026-01-31", "yesno": True, "scalar": "x", "json": {"a": 1},
}  # fmt: skip
RULES: list[Any] = [
    {"all": []},
    LAPSED,
    {"not": {"any": [LAPSED, {"all": [COUNTRY]}]}},
    {"all": [{"op": "trait", "params": {"trait": "age", "op": "greater", "value": 30}}]},
    {"all": [{"op": "trait", "params": {"trait": "zip", "op": "equals", "value": "30"}}]},
    {"all": [{"op": "trait", "params": {"trait": "vip", "op": "any_of", "values": [True, "true", 1, "1", "a b"]}}]},
    {"op": "event_count", "params": {"event": "Buy", "where": {"kind": "x", "n": 5, "t": "5", "ok": False}}},
    {"op": "event_count", "params": {"event": "Buy", "where": {"kind": ["x", 2], "price": {"at_least": 10, "less_than": 20.5}}}},
    {"op": "event_count", "params": {"event": "Buy", "where": {"a.b": {"any_of": ["x", 1]}, "c": {"set": True}}}},
    {"all": [{"op": "nothing", "params": {"a": [1]}}, EMPTY, {"op": "points", "params": {"op": "exactly", "points": "many", "odd": {"b": 1}}}]},
]  # fmt: skip


def fields(html: str) -> QueryDict:
    """What a browser would send of the form in `html`."""
    sent, page = QueryDict(mutable=True), BeautifulSoup(html, "html.parser")
    for one in page.select("input[name], select[name], textarea[name]"):
        name = str(one["name"])
        if one.name == "select":
            chosen = one.select_one("option[selected]") or one.select_one("option")
            sent.appendlist(name, str(chosen["value"]) if chosen else "")
        elif one.name == "textarea":
            sent.appendlist(name, one.text.removeprefix("\n"))
        elif one.get("type") != "checkbox" or one.has_attr("checked"):
            sent.appendlist(name, str(one.get("value", "")))
    return sent


def back(raw: Any) -> Any:
    """A rule drawn and read back."""
    posted = read_posted(fields(draw(Posted(raw, "builder"))))
    assert posted is not None
    return posted.raw


# What is drawn is read back


@pytest.mark.parametrize("raw", RULES, ids=json.dumps)
def test_a_rule_survives_the_boxes(db: None, raw: Any) -> None:
    assert same_rule(back(raw), raw)
    assert back(back(raw)) == back(raw)


@pytest.mark.parametrize("op", operators.keys())
def test_every_operator_has_inputs_that_read_back(db: None, op: str) -> None:
    """No list is edited: whatever an operator asks for has an input, and each value comes back as it went in."""
    inputs, schema = inputs_of(op), operators.get(op).Params.model_json_schema()
    assert set(inputs) == set(schema["properties"])
    params = {name: _some(one) for name, one in inputs.items()}
    assert back({"op": op, "params": params}) == {"op": op, "params": params}
    assert not [name for name, one in inputs.items() if one.kind == "json"]


def _some(one: Any) -> Any:
    if one.kind == "choice":
        return one.options[-1]
    if one.kind == "choices":
        return list(one.options[:2])
    if one.kind == "list":
        return [GIVEN[one.of], GIVEN[one.of]]
    if one.kind == "tests":
        return {"kind": "x", "price": {"at_least": 10.0}}
    return GIVEN[one.kind]


@pytest.mark.parametrize("op", operators.keys())
def test_every_operator_is_named_in_chinese_and_found_in_both_languages(db: None, op: str) -> None:
    with override("zh-hans"):
        page = BeautifulSoup(draw(Posted(EMPTY, "builder")), "html.parser")
    (item,) = page.select(f"[data-op={op}]")
    name = item.select_one("b").text  # type: ignore[union-attr]
    assert any("\u4e00" <= ch <= "\u9fff" for ch in name), name
    assert name.lower() in item["data-picker-item"].lower()
    assert op in item["data-picker-item"]


@pytest.mark.parametrize(
    ("text", "kind", "given_as", "value"),
    [
        ("5", "scalar", "", 5), ("5", "scalar", "text", "5"), ("-2.50", "scalar", "", -2.5), ("007", "scalar", "", "007"),
        ("true", "scalar", "", True), ("true", "scalar", "text", "true"), ("true", "text", "", "true"),
        ("1e3", "number", "", 1000.0), ("007", "whole", "", 7), ("0", "whole", "", 0), ("many", "whole", "", "many"),
        ("0.5", "number", "", 0.5), ("00.5", "number", "", 0.5), ("-05", "whole", "", -5), ("000", "whole", "", 0),
        ("٣", "number", "", "٣"), (" 8 ", "number", "", 8), ("1" * 30, "whole", "", "1" * 30),
    ],
)  # fmt: skip
def test_what_is_typed_is_what_is_meant(text: str, kind: str, given_as: str, value: Any) -> None:
    read = read_scalar(text, kind, given_as)
    assert (read, type(read)) == (value, type(value))


def test_poison_is_refused_and_kept_out_of_the_database() -> None:
    sent = QueryDict(mutable=True)
    sent.update({"rule|0|kind": "op", "rule|0|op": "trait", "rule|0|p|trait": "a\x00b"})
    posted = read_posted(sent)
    assert posted is not None
    assert len(posted.problems) == 1
    assert posted.raw is None


def test_a_form_that_goes_too_deep_ends() -> None:
    sent, place = QueryDict(mutable=True), "0"
    for _ in range(60):
        sent[f"rule|{place}|kind"] = "all"
        place += ".0"
    posted = read_posted(sent)
    assert posted is not None
    assert max(spot.depth for spot in spots(posted.raw)) < 16
    assert [one.message for one in prove(posted.raw)[1]] == ["nested deeper than 12"]


# What is done is done


@pytest.mark.parametrize(
    ("verb", "place", "value", "after"),
    [
        ("add", "0", "", {"all": [COUNTRY, {"any": [LAPSED, EMPTY]}, EMPTY]}),
        ("add", "0.1", "not", {"all": [COUNTRY, {"any": [LAPSED, EMPTY, {"not": EMPTY}]}]}),
        ("add", "0.0", "", None),
        ("remove", "0.1.0", "", {"all": [COUNTRY, {"any": [EMPTY]}]}),
        ("remove", "0", "", {"all": []}),
        ("wrap", "0.0", "not", {"all": [{"not": COUNTRY}, {"any": [LAPSED, EMPTY]}]}),
        ("wrap", "0", "any", {"any": [{"all": [COUNTRY, {"any": [LAPSED, EMPTY]}]}]}),
        ("wrap", "0", "op", None),
        ("unwrap", "0.1", "", {"all": [COUNTRY, LAPSED, EMPTY]}),
        ("unwrap", "0", "", None),
        ("move", "0.1", "up", {"all": [{"any": [LAPSED, EMPTY]}, COUNTRY]}),
        ("move", "0.1", "down", None),
        ("move", "0", "up", None),
        ("copy", "0.0", "", {"all": [COUNTRY, COUNTRY, {"any": [LAPSED, EMPTY]}]}),
        ("choose", "0.1.1", "points", {"all": [COUNTRY, {"any": [LAPSED, {"op": "points"}]}]}),
        ("fly", "0", "", None),
        ("remove", "0.7", "", None),
        ("remove", "1.0", "", None),
        ("remove", "0.-1", "", None),
        ("remove", "", "", None),
    ],
)
def test_each_verb(verb: str, place: str, value: str, after: Any) -> None:
    draft = {"all": [COUNTRY, {"any": [LAPSED, EMPTY]}]}
    before = json.dumps(draft)
    assert changed(draft, verb, place, value) == (after or draft)
    assert json.dumps(draft) == before


@pytest.mark.parametrize("seed", range(12))
def test_any_steps_in_any_order_leave_a_rule_that_can_be_drawn(db: None, seed: int) -> None:
    rng = random.Random(seed)
    draft: Any = {"all": []}
    words = {
        "wrap": GROUPS,
        "add": ("", *GROUPS),
        "move": ("up", "down"),
        "choose": ("", "level", "event_count", "trait"),
    }
    for _ in range(25):
        places = [spot.place for spot in spots(draft)]
        verb = rng.choice([*VERBS, "add", "choose", "choose", "redraw"])
        value = rng.choice(words.get(verb, ("",)))
        posted, fresh = change_draft(Posted(draft, "builder"), verb, rng.choice(places), value)
        page = draw(posted, fresh=fresh)
        read = read_posted(fields(page))
        assert read is not None
        assert can_be_drawn(read.raw)
        assert [spot.place for spot in spots(read.raw)] == [spot.place for spot in spots(posted.raw)]
        draft = read.raw if len(places) < 40 else {"all": []}


def test_a_not_keeps_its_one_part() -> None:
    assert changed({"not": LAPSED}, "remove", "0.0") == {"not": EMPTY}
    assert changed({"not": LAPSED}, "unwrap", "0") == LAPSED
    assert changed({"not": LAPSED}, "add", "0") == {"not": LAPSED}


def test_another_question_keeps_what_it_asks_for_too(db: None) -> None:
    asked = {"op": "event_count", "params": {"event": "Buy", "days": 30, "op": "exactly", "count": 2}}
    posted, _ = change_draft(Posted({"all": [asked]}, "builder"), "choose", "0.0", "")
    kept = back(posted.raw)
    posted, fresh = change_draft(Posted(kept, "builder"), "choose", "0.0", "event_first_last")
    assert fresh == "0.0"
    assert posted.raw == {"all": [{"op": "event_first_last", "params": {"event": "Buy", "days": 30}}]}


def test_another_comparison_drops_what_it_does_not_look_at(db: None) -> None:
    asked = {"op": "trait", "params": {"trait": "age", "op": "between", "low": 1, "high": 2, "value": 9, "days": 3}}
    posted, _ = change_draft(Posted(asked, "builder"), "redraw", "0", "")
    assert posted.raw["params"] == {"trait": "age", "op": "between", "low": 1, "high": 2}
    for wrong in ({"days": "soon"}, {"where": {"url": {"contains": ""}}}):
        typed = {"op": "event_count", "params": {"event": "page", **wrong}}
        assert change_draft(Posted(typed, "builder"), "redraw", "0", "")[0].raw == typed
    half = {"op": "trait", "params": {"trait": "age", "op": "equals", "low": 1}}
    posted, _ = change_draft(Posted(half, "builder"), "redraw", "0", "")
    assert posted.raw["params"] == {"trait": "age", "op": "equals", "low": 1}


def test_json_and_back(db: None) -> None:
    posted, _ = change_draft(Posted({"all": [COUNTRY]}, "builder"), "json", "0", "")
    sent = fields(draw(posted))
    assert json.loads(sent["rule"]) == {"all": [COUNTRY]}
    sent["rule"] = json.dumps({"any": [LAPSED]})
    again, _ = change_draft(read_posted(sent) or Posted(None, "json"), "build", "", "")
    assert 'data-rule-view="builder"' in draw(again)
    assert back(again.raw) == {"any": [LAPSED]}


@pytest.mark.parametrize("text", ['{"all": ', "[]", '{"all": 3}', '{"all": [], "any": []}', '{"op": 3}', "null", "7"])
def test_what_no_box_can_show_stays_json_and_says_why(db: None, text: str) -> None:
    sent = QueryDict(mutable=True)
    sent["rule"] = text
    posted, _ = change_draft(read_posted(sent) or Posted(None, "json"), "build", "", "")
    page = BeautifulSoup(draw(posted), "html.parser")
    assert page.select_one("textarea[name=rule]").text.strip() == text.strip()  # type: ignore[union-attr]
    assert page.select(".p-note-box--bad li")


@pytest.mark.parametrize(
    ("verb", "place", "value", "focus"),
    [
        ("move", "0.2", "up", "rule-0_1-up"), ("remove", "0.1.0", "", "rule-0_1-add"),
        ("choose", "0.1", "x", "start-0_1"), ("json", "", "", "id_rule"), ("add", "0", "", ""),
    ],
)  # fmt: skip
def test_the_keyboard_goes_on_where_it_was(verb: str, place: str, value: str, focus: str) -> None:
    assert focus_after(verb, place, value) == focus


# What is wrong is told at its field


def told(raw: Any, language: str = "en") -> dict[str, str]:
    """(place, field) → what stands there; field "" for the box as a whole."""
    with override(language):
        page = BeautifulSoup(draw(Posted(raw, "builder")), "html.parser")
    found = {}
    for box in page.select("[data-place]"):
        for said in box.select(".p-said, .p-told"):
            if said.find_parent(attrs={"data-place": True}) is box and said.select("[role=alert], .p-said > span"):
                name = said.find_parent(attrs={"data-field": True})
                place = f"{box['data-place']} {name['data-field'] if name else ''}".strip()
                found[place] = " ".join(
                    one.text for one in said.select("span") if "p-dim" not in (one.get("class") or [])
                )
    return found


def test_every_problem_at_once_each_at_its_field(db: None) -> None:
    raw = {
        "all": [
            {"op": "event_count", "params": {"event": "", "count": "many", "days": -1}},
            {"any": []},
            {"op": "trait", "params": {"trait": "age", "op": "between", "low": 5}},
            {"op": "in_segment", "params": {"segment": "none-such"}},
            {"op": "level", "params": {"levels": ["gold", "tin"]}},
            {"op": "event_count", "params": {"event": "Buy", "where": {"price": {"at_least": "x"}}}},
            {"op": "in_journey", "params": {"journey": "nowhere"}},
        ]
    }
    assert told(raw) == {
        "0.0 event": "Fill this in.",
        "0.0 count": "A whole number is needed here.",
        "0.0 days": "More than 0.",
        "0.1": "This group is empty and would match nobody.",
        "0.2 low": "“Between” needs a lower and a higher number.",
        "0.3 segment": "There is no segment with the key “none-such”.",
        "0.4 levels": "There is no level with the key “gold”. There is no level with the key “tin”.",
        "0.5 where": "A number is needed here.",
        "0.6 journey": "there is no journey 'nowhere'",
    }
    assert told(raw, "zh-hans")["0.0 days"] == "须大于 0。"


def test_a_question_just_chosen_is_not_scolded_yet(db: None) -> None:
    page = BeautifulSoup(draw(Posted({"all": [{"op": "points"}]}, "builder"), fresh="0.0"), "html.parser")
    assert page.select("[data-field=points]")
    assert not page.select(".p-said > span")


def test_a_circle_of_segments_is_told(db: None) -> None:
    Segment.objects.create(key="one", name="One", rule={"op": "in_segment", "params": {"segment": "two"}})
    Segment.objects.create(key="two", name="Two", rule={"all": []})
    _rule, problems = prove({"op": "in_segment", "params": {"segment": "one"}}, key="two")
    assert [one.message for one in problems] == ["segments read each other in a circle: two → one → two"]


# What is offered comes from the data


def test_offers_come_from_the_data_in_few_statements(db: None) -> None:
    mei = make_profile(country="CN", traits={"plan": "plus"})
    for n in range(3):
        make_fact(mei, "Played", at=NOW, song=f"s{n}", loud=True)
    make_fact(mei, "Paid", at=NOW)
    Badge.objects.create(key="gold", name="Gold", name_zh="金")
    one = [
        {"op": "event_count", "params": {"event": "Played", "where": {"song": "s1"}}},
        {"op": "badge", "params": {"badge": "gold"}},
        COUNTRY,
    ]
    page = BeautifulSoup(draw(Posted({"all": one}, "builder")), "html.parser")

    def offered(place: str, name: str) -> list[str]:
        box = page.select_one(f"[data-place='{place}'] [data-field={name}] input[list]")
        assert box is not None
        return [str(option["value"]) for option in page.select(f"datalist[id='{box['list']}'] option")]

    assert offered("0.0", "event") == ["Paid", "Played"]
    assert offered("0.0", "where") == ["loud", "song"]
    assert offered("0.1", "badge") == ["gold"]
    assert offered("0.2", "value") == ["CN"]
    assert {"country", "email"} <= set(offered("0.2", "trait"))
    counts = []
    for many in (1, 5):
        with CaptureQueriesContext(connection) as asked:
            draw(Posted({"all": one * many}, "builder"))
        counts.append(len(asked))
    assert (counts[0], counts[1]) == (7, 7 + 4)  # four badges more, each looked up once by its operator


def test_what_was_learnt_of_an_event_is_offered_without_reading_its_facts(db: None) -> None:
    for key in ("", "song", "year"):
        EventProperty.objects.create(event="Played", key=key, type="text", first_seen_at=NOW, last_seen_at=NOW)
    asked = {"op": "event_count", "params": {"event": "Played", "where": {"song": "s1"}}}
    page = BeautifulSoup(draw(Posted(asked, "builder")), "html.parser")
    assert [str(one["value"]) for one in page.select("#rule-0-where-offers option")] == ["song", "year"]


def test_a_parameter_is_offered_what_it_is_named_after() -> None:
    named = {
        ("in_segment", "segment"): "segment", ("level", "levels"): "level", ("consent", "topic"): "topic",
        ("in_journey", "journey"): "journey", ("event_sequence", "first"): "fact", ("trait", "first"): "",
        ("event_count", "count"): "", ("event_measure", "property"): "property", ("trait", "values"): "value",
    }  # fmt: skip
    assert {pair: source_of(pair[0], inputs_of(pair[0])[pair[1]]) for pair in named} == named


# Over the wire


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:segments_segment_{name}", args=args)


def test_the_builder_is_for_authors_and_takes_a_token(shop: Any, login: Any) -> None:
    sent = {"rule|0|kind": "all", "do": "add", "at": "0"}
    for role, status in (("viewer", 403), ("nobody", 403), ("author", 200)):
        assert login(role).post(url("builder"), sent).status_code == status
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = login("author").cookies
    assert strict.post(url("builder"), sent).status_code == 403
    answer = login("author").post(url("builder"), sent)
    assert answer["HX-Trigger-After-Settle"] == "ruleChanged"
    assert "data-picker" in answer.content.decode()


def test_a_rule_from_the_boxes_is_saved_and_its_errors_come_back_in_the_boxes(shop: Any, login: Any) -> None:
    client = login("author")
    page = BeautifulSoup(client.get(url("add")).content, "html.parser")
    assert page.select_one("[name='rule|0|kind']")
    sent = {
        "name": "By hand", "key": "by-hand", "rule|0|kind": "any", "rule|0.0|kind": "op", "rule|0.0|op": "stage",
        "rule|0.0|p|stages": ["lapsed", "at_risk"], "rule|0.1|kind": "op", "rule|0.1|op": "points",
        "rule|0.1|p|op": "at_least", "rule|0.1|p|points": "lots",
    }  # fmt: skip
    answer = client.post(url("add"), sent)
    assert answer.status_code == 200
    wrong = BeautifulSoup(answer.content, "html.parser")
    assert wrong.select_one("[data-place='0.1'] [data-field=points] .p-said").text == "A whole number is needed here."  # type: ignore[union-attr]
    assert wrong.select_one("[name='rule|0.1|p|points']")["value"] == "lots"  # type: ignore[index]
    assert client.post(url("add"), {**sent, "rule|0.1|p|points": "10"}).status_code == 302
    made = Segment.objects.get(key="by-hand")
    assert made.rule == {
        "any": [
            {"op": "stage", "params": {"stages": ["lapsed", "at_risk"]}},
            {"op": "points", "params": {"op": "at_least", "points": 10}},
        ]
    }


def test_saving_without_a_change_builds_nothing_anew(shop: Any, login: Any) -> None:
    client, segment = login("author"), Segment.objects.get(key="slipping-away")
    page = client.get(url("change", segment.pk)).content.decode()
    sent = fields(str(BeautifulSoup(page, "html.parser").select_one("#segment_form")))
    sent["name"] = "Slipping off"
    assert client.post(url("change", segment.pk), dict(sent.lists())).status_code == 302
    after = Segment.objects.get(pk=segment.pk)
    assert (after.name, after.rule_number) == ("Slipping off", segment.rule_number)
    assert same_rule(after.rule, segment.rule)


def test_a_viewer_reads_the_rule_and_changes_nothing(shop: Any, login: Any) -> None:
    segment = Segment.objects.get(key="slipping-away")
    page = BeautifulSoup(login("viewer").get(url("change", segment.pk)).content, "html.parser")
    assert page.select(".p-outline li")
    assert not page.select("[name^='rule|']")
    given = json.loads(str(page.select_one("#p-preview")["hx-vals"]))  # type: ignore[index]
    assert json.loads(given["rule"]) == segment.rule


def test_the_preview_brings_what_each_field_is_told(shop: Any, login: Any) -> None:
    sent = {"rule|0|kind": "op", "rule|0|op": "points", "rule|0|p|op": "at_least", "rule|0|p|points": "lots"}
    page = BeautifulSoup(login("viewer").post(url("preview"), sent).content, "html.parser")
    slot = page.select_one("#rule-0-points-said[hx-swap-oob=true]")
    assert slot is not None
    assert slot.text == "A whole number is needed here."
    assert page.select_one("[data-count]") is None
    assert [one.text for one in page.select(".p-note-box li")] == ["Points › Points: A whole number is needed here."]


def test_the_preview_proves_a_rule_once_and_looks_up_no_offers_that_it_does_not_draw(shop: Any, login: Any) -> None:
    sent = {"rule|0|kind": "op", "rule|0|op": "in_segment", "rule|0|p|segment": "nobody"}
    client = login("viewer")
    with CaptureQueriesContext(connection) as asked:
        page = BeautifulSoup(client.post(url("preview"), sent).content, "html.parser")
    assert page.select_one("#rule-0-segment-said").text == "There is no segment with the key “nobody”."  # type: ignore[union-attr]
    ours = [one["sql"] for one in asked if "segments_segment" in one["sql"]]
    assert len(ours) == 1, ours


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"rule|0|kind": "fly", "do": "add", "at": "0.0.0.0"},
        {
            "rule|0|kind": "op",
            "rule|0|op": "__class__",
            "rule|0|kept": "[1",
            "do": "choose",
            "at": "0",
            "with": "nothing",
        },
        {
            "rule|0|kind": "op",
            "rule|0|op": "event_count",
            "rule|0|p|where|0|name": "a",
            "rule|0|p|where|0|test": "eval",
        },
        {"rule|0|kind": "op", "rule|0|op": "event_count", "rule|0|p|where|0|name": "", "rule|0|p|where|0|is": "<b>"},
        {"rule|0|kind": "op", "rule|0|op": "trait", "rule|0|x|a.b<script>": "{", "do": "redraw", "at": "0"},
        {"rule|0|kind": "not", "do": "unwrap", "at": "0"},
        {"rule|0|kind": "op", "rule|0|op": "points", "rule|0|p|points": "9" * 5000},
        {"rule|0|kind": "all", "do": "move", "at": "0." + "9" * 400, "with": "up"},
        {"rule": "[" * 9000, "do": "build"},
    ],
    ids=range(10),
)
def test_forms_that_make_no_sense_are_no_fault(shop: Any, login: Any, sent: dict[str, str]) -> None:
    client = login("root")
    for name in ("builder", "preview", "exact"):
        answer = client.post(url(name), sent)
        assert answer.status_code == 200
        assert "<script>" not in answer.content.decode()
        assert "<b><" not in answer.content.decode()
