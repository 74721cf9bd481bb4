"""Rendering: who gets which words, what an author may not do, and that one message never fails for another's."""

from __future__ import annotations

import os
import re
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from markupsafe import Markup

from common.params import Invalid
from messaging.locales import chain, choose
from messaging.models import Template, TemplateVersion
from messaging.publish import check_template, compile_template, preview_template, publish_template
from messaging.render import RenderError, RenderJob, kept, render_group
from messaging.render.cell import guard
from messaging.render.cell.environment import Cell
from messaging.render.cell.limits import SECONDS
from messaging.render.kept import Source
from messaging.render.process import Died
from messaging.render.variables import as_json
from messaging.starters import install_starter, starter_keys
from tests.messages import make_topic
from tests.messaging.bombs import BOMBS, ESCAPES, WORK, template
from tests.messaging.mails import CHINESE, HTML, draft, publish, render, sent
from tests.people import NOW, make_profile

db = pytest.mark.django_db
MANY: dict[str, Any] = {"profile": {"first_name": "Mei"}, "xs": list(range(1500))}


def tried(source: str, *, html: bool = False, **variables: Any) -> dict[str, Any]:
    """Rendered in the child as it is, without the reading that a publisher does."""
    key = f"{hash((source, html)):x}"
    return kept.render({key: Source(key, {"text": (html, source)})}, [(key, as_json(variables or MANY, "en"))])[0]


def text(source: str, *, html: bool = False, locale: str = "en", **variables: Any) -> str:
    key = f"{hash((source, html)):x}"
    answer = kept.render({key: Source(key, {"text": (html, source)})}, [(key, as_json(variables, locale))])[0]
    done: str = answer["done"]["text"]
    return done


# locales


@pytest.mark.parametrize(
    ("wished", "chosen"),
    [
        ("zh-Hans", "zh-hans"), ("zh-CN", "zh-hans"), ("zh_Hans_CN", "zh-hans"), ("zh", "zh-hans"), ("zh-TW", "zh-hans"),
        ("en-GB", "en"), ("fr", "en"), ("", "en"), ("EN", "en"), ("zh_CN.UTF-8", "zh-hans"),
    ],
)  # fmt: skip
def test_the_best_variant_is_chosen(wished: str, chosen: str) -> None:
    assert choose(["en", "zh-hans"], wished) == chosen


def test_the_chain_of_chinese_ends_in_english() -> None:
    assert chain("zh-Hans-CN") == ["zh-hans-cn", "zh-hans", "zh-hant", "zh", "en"]
    assert chain("zh-TW") == ["zh-tw", "zh-hant", "zh-hans", "zh", "en"]
    assert choose(["zh", "fr"], "zh-Hans") == "zh"
    assert choose(["fr"], "de") == "fr"
    assert choose([], "de") is None


# words


@pytest.mark.parametrize(
    ("source", "locale", "shown"),
    [
        ("{{ 1250 | money('USD') }}", "en", "$12.50"),
        ("{{ 1250 | money('USD') }}", "zh-CN", "US$12.50"),
        ("{{ 123456 | money('CNY') }}", "zh-CN", "¥1,234.56"),
        ("{{ -500 | money('JPY') }}", "en", "-¥500"),
        ("{{ 1250 | money('XYZ') }}", "en", "12.50 XYZ"),
        ("{{ '2026-03-02' | date }}", "en", "2 March 2026"),
        ("{{ '2026-03-02T23:59:00+08:00' | date }}", "en-US", "March 2, 2026"),
        ("{{ '2026-03-02' | date }}", "zh-Hans", "2026年3月2日"),
        ("{{ '2026-03-02' | date('short') }}", "zh-Hans", "3月2日"),
        ("{{ '2026-03-02' | date('iso') }}", "en", "2026-03-02"),
        ("{{ '2026-03-02T09:05:00Z' | time }}", "en", "09:05"),
        ("{{ '2026-03-02T14:05:00+00:00' | time }} {{ '2026-03-02T00:05:00Z' | time }}", "en-US", "2:05 PM 12:05 AM"),
        ("{{ '2026-03-02T14:05:00Z' | datetime }}", "en", "2 March 2026, 14:05"),
        ("{{ '2026-03-02T14:05:00Z' | datetime('short') }}", "zh-Hans", "3月2日 14:05"),
        ("{{ '2026-03-02T14:05:00Z' | datetime }}", "ko", "2026년 3월 2일 오후 2:05"),
        ("{{ '2026-03-02T14:05:00Z' | datetime(zone='Asia/Kolkata', form='iso') }}", "en", "2026-03-02T19:35+05:30"),
        ("{{ 1250 | money('CNY') }}", "en", "CN¥12.50"),
        ("{{ 1234567.5 | number }}", "en", "1,234,567.5"),
        ("{{ profile | name('you') }}", "en", "Mei Lin"),
        ("{{ profile | name('you') }}", "zh", "Lin Mei"),
        ("{{ event.a.b | default('x') }}", "en", "x"),
        ("{{ profile.none | default('x') }}", "en", "x"),
        ("{{ profile.items }}", "en", "7"),
        ("{{ 7 // 2 * 3 - 1 }}", "en", "8"),
        ("{% for x in xs %}{{ loop.index }}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "en", "1a, 2b"),
        ("{{ 'a b/ü' | urlencode }}", "en", "a%20b/%C3%BC"),
        ("{{ 'abcdef' | truncate(4) }}", "en", "abc…"),
        ("{{ 1234567.5 | number }} {{ 1234.5 | number(2) }}", "de-AT", "1.234.567,5 1.234,50"),
        ("{{ 123456 | money('EUR') }}", "de", "1.234,56\u00a0€"),
        ("{{ -123456 | money('EUR') }}", "fr-FR", "-1\u202f234,56\u00a0€"),
        ("{{ 123456 | money('EUR') }}", "nl", "€\u00a01.234,56"),
        ("{{ 5000 | money('JPY') }}", "ja-JP", "¥5,000"),
        ("{{ '2026-03-02' | date }}", "de_DE", "2. März 2026"),
        ("{{ '2026-03-02' | date }} {{ '2026-03-02' | date('short') }}", "es", "2 de marzo de 2026 2 de marzo"),
        ("{{ '2026-03-02' | date }}", "ko", "2026년 3월 2일"),
        ("{{ '2026-03-02' | date('short') }}", "en-US", "Mar 2"),
        ("{{ '2026-03-02' | date('short') }}", "sw", "2 Mar"),
        (
            '{"n": {{ quoted | json }}, "x": {{ xs | json }}, "d": {{ profile.none | json }}}',
            "en",
            '{"n": "a\\"b\\\\<\\/x\\n", "x": ["a","b"], "d": null}',
        ),
    ],
)
def test_filters(source: str, locale: str, shown: str) -> None:
    person = {"first_name": "Mei", "last_name": "Lin", "none": None, "items": 7}
    assert text(source, locale=locale, profile=person, xs=["a", "b"], quoted='a"b\\</x\n') == shown


@pytest.mark.parametrize(
    ("said", "zone", "shown"),
    [
        ("2026-03-02T16:30:00Z", "Asia/Shanghai", "2026-03-03 00:30"),
        ("2026-03-02T16:30:00Z", "America/New_York", "2026-03-02 11:30"),
        ("2026-07-02T16:30:00Z", "America/New_York", "2026-07-02 12:30"),
        (1772469000, "Asia/Shanghai", "2026-03-03 00:30"),
        ("2026-03-02T16:30:00Z", "", "2026-03-03 01:30"),
        ("2026-03-02T16:30:00Z", "Mars/Olympus", "2026-03-03 01:30"),
        ("2026-03-02T16:30:00", "Asia/Shanghai", "2026-03-02 16:30"),
        ("2026-03-02", "Asia/Shanghai", "2026-03-02 00:00"),
    ],
)
def test_a_moment_is_told_where_the_reader_is(settings: Any, said: Any, zone: str, shown: str) -> None:
    """Without a zone that there is, where the workspace is; what says no offset stays as it is written."""
    settings.WORKSPACE_ZONE = "Asia/Tokyo"
    assert text("{{ x | date('iso') }} {{ x | time }}", x=said, profile={"timezone": zone}) == shown
    assert text("{{ x | time('UTC') }}", x="2026-03-02T16:30:00Z", profile={"timezone": zone}) == "16:30"


@pytest.mark.parametrize("source", ["{{ x | date('long', 'Mars') }}", "{{ x | time('../UTC') }}", "{{ x | time(9) }}"])
def test_a_zone_that_there_is_not_is_said(source: str) -> None:
    assert tried(source, x="2026-03-02T16:30:00Z") == {"error": "there is no such time zone"}


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_no_crash(said: str) -> None:
    source = "{{ x | date(zone='America/New_York') }}{{ x | date(zone='Asia/Tokyo') }}"
    assert tried(source, x=said) == {"error": "this is not a date"}


def test_html_is_escaped_and_text_is_not() -> None:
    assert text("{{ x }}", html=True, x="<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"
    assert text("{{ x }}", x="<b>&\"'") == "<b>&\"'"
    for source in ("{{ x | upper }}", "{{ x | e | replace('&lt;', '<') }}", "{{ [x] | join('<') }}", "{{ x ~ '<' }}"):
        assert "<" not in text(source, html=True, x="<b>").replace("<br>", "")


VALUES: list[Any] = [
    "plain", "<b>&\"'", "春 <3", "", 0, -7, 12.5, 1e-9, True, False, [1, "<"], {"a": "<"}, Markup("<i>"), 10**14,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("html", [True, False])
def test_a_value_is_printed_as_jinja_prints_it(value: Any, html: bool) -> None:
    source = "<p>{{ x }} {{ x if x else 'nothing' }} {{ [x, 'a'] | first }}</p>"
    stock = Environment(autoescape=html).from_string(source).render(x=value)
    assert Cell.of(html=html).from_string(source).render(x=value) == stock


@pytest.mark.parametrize(
    "frame",
    [
        '{"done": {"text": 3}}\nab', '{"done": {"text": 3}}\nabcd', '{"done": {"text": -1, "html": 3}}\nab',
        '{"done": {"text": "2"}}\nab', '{"done": {"text": true}}\na', '{"done": 2}\nab', '{"done": [1]}\na', "ab\ncd",
    ],
)  # fmt: skip
def test_an_answer_whose_lengths_do_not_fit_is_none(frame: str) -> None:
    with pytest.raises((Died, ValueError, TypeError)):
        kept._read(frame)


def test_parts_come_as_they_were_rendered() -> None:
    assert kept._read('{"done": {"subject": 2, "text": 0, "html": 4}}\n春<a\nb😀') == {
        "done": {"subject": "春<", "text": "", "html": "a\nb😀"}
    }


def test_a_value_is_never_a_template_nor_a_mark() -> None:
    assert text("{{ x }}", x="{{ 7*7 }}{% if 1 %}\x02l0\x02\x00\x1b\ud800 \\u0002") == "{{ 7*7 }}{% if 1 %}l0? \\u0002"


@pytest.mark.parametrize(
    "source", ["{{ x }}", "{{ profile.x }}", "{{ profile.none }}", "{{ x.y.z }}", "{% if x > 1 %}{% endif %}"]
)
def test_a_missing_variable_fails_the_message(source: str) -> None:
    assert "error" in tried(source, profile={"none": None})


# hostile templates


@pytest.mark.parametrize("source", ESCAPES)
@pytest.mark.parametrize("html", [True, False])
def test_escapes_are_refused_when_read(source: str, html: bool) -> None:
    faults = guard.check(source, html=html)
    unknown = not faults and guard.read(source, html=html).variables - {"profile"}
    refused_by_shield = "{% raw %}" in source
    assert faults or unknown or refused_by_shield
    if faults:
        assert "error" in tried(source, html=html)


@pytest.mark.parametrize("part", ["subject", "preheader", "html", "text", "mjml"])
@pytest.mark.parametrize("source", ESCAPES)
def test_escapes_are_refused_in_every_part(source: str, part: str) -> None:
    sources = {"subject": "Hello", "text": "Hello {{ links.unsubscribe }}"}
    for where in (source, f'<a href="https://x.example/{source}">x</a>') if part == "html" else (source,):
        with pytest.raises(Invalid) as raised:
            compile_template(Template(channel="email", klass="transactional", content={"en": {**sources, part: where}}))
        assert all(problem.path.startswith("content.en") for problem in raised.value.problems)


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_bombs_are_refused_at_once(number: int) -> None:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert guard.check(BOMBS[number], html=True) or "error" in tried(BOMBS[number])
    tried(BOMBS[number])
    assert time.perf_counter() - start < 1.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB


@pytest.mark.parametrize("number", range(len(WORK)))
def test_endless_work_is_stopped(number: int) -> None:
    text("warm")
    start = time.perf_counter()
    assert "error" in tried(WORK[number])
    assert time.perf_counter() - start < 2 * SECONDS + 1.5  # the group, then the message alone, then a new child
    assert text("{{ 1 }}") == "1"


def test_templates_of_a_grammar_stay_within_their_bounds(rng: Any, prove: bool) -> None:
    text("warm")
    child = kept.pid()
    for _ in range(10_000 if prove else 300):
        source = template(rng)
        start = time.perf_counter()
        faults = guard.check(source, html=False)
        answer = tried(source)
        assert ("error" in answer) or not faults, source
        assert time.perf_counter() - start < 1.2 or "error" in answer, source
        assert len(answer.get("done", {}).get("text", "")) <= 256 * 1024, source
        if kept.pid() == child and child is not None:
            assert memory_of(child) < 512 * 1024, source
        child = kept.pid()


def memory_of(pid: int) -> int:
    """Resident KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def test_no_loader_no_cache_no_global() -> None:
    from messaging.render.cell.environment import Cell

    for html in (True, False):
        cell = Cell.of(html=html)
        assert (cell.loader, cell.bytecode_cache, dict(cell.globals)) == (None, None, {})


# the child


def test_the_child_has_nothing() -> None:
    text("x")
    pid = kept.pid()
    assert pid is not None
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    limits = Path(f"/proc/{pid}/limits").read_text()
    row = {line[:25].strip(): line[25:].split() for line in limits.splitlines()[1:]}
    assert row["Max open files"][:2] == ["3", "3"]
    assert row["Max address space"][:2] == [str(512 * 1024 * 1024)] * 2
    assert row["Max file size"][:2] == ["0", "0"]
    assert row["Max cpu time"][0].isdecimal()
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not any(name in maps for name in ("sqlite", "psycopg", "_ssl"))


@db
def test_a_template_is_compiled_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kept.close()
    loaded: list[int] = []
    ask = kept.Child.ask

    def counted(self: kept.Child, sources: Any, jobs: Any) -> Any:
        loaded.append(len([source for source in sources if source.key not in self.loaded]))
        return ask(self, sources, jobs)

    monkeypatch.setattr(kept.Child, "ask", counted)
    row = sent(make_profile(email="a@example.com"), publish())
    for _ in range(3):
        render(row)
    assert loaded[-3:] == [0, 0, 0]
    assert sum(loaded) == 1  # at publish, and never again


def test_when_the_child_is_killed_another_one_works() -> None:
    assert text("{{ 1 }}") == "1"
    pid = kept.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert text("{{ 1 }}") == "1"
    assert kept.pid() != pid


def test_the_child_ends_with_its_parent() -> None:
    text("x")
    pid = os.fork()
    if pid == 0:  # a forked worker starts a child of its own and leaves ours alone
        ok = text("{{ 2 }}") == "2" and kept.pid() is not None
        kept.close()
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert text("{{ 3 }}") == "3"


def test_threads_take_turns() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: text("{{ n }}", n=n), range(100))) == [str(n) for n in range(100)]


@db
def test_only_the_guilty_one_of_a_group_fails() -> None:
    loop = "{% for a in profile.xs %}{% for b in profile.xs %}{% for c in profile.xs %}{% endfor %}{% endfor %}{% endfor %}"
    version = publish(HTML.replace("<p>", loop + "<p>"), sample={"profile": {"xs": [1]}})
    jobs = [job(version, {"profile": {"first_name": f"N{n}", "xs": [1]}}) for n in range(5)]
    jobs[1] = job(version, {"profile": {"first_name": "guilty", "xs": list(range(3000))}})
    jobs[3] = job(version, {"profile": {"first_name": "missing"}})
    done = render_group(jobs)
    assert [isinstance(one, RenderError) for one in done] == [False, True, False, True, False]
    assert [one.parts["subject"] for one in done if not isinstance(one, RenderError)] == ["Hello"] * 3
    assert "stopped" in str(done[1])
    assert "xs" in str(done[3])


@db
def test_a_poisoned_row_fails_at_send_and_the_sender_goes_on() -> None:
    good = publish()
    for number, bomb in enumerate([*BOMBS[:6], *ESCAPES[:3]]):
        bad = publish(key=f"bad-{number}")
        TemplateVersion.objects.filter(pk=bad.pk).update(content={"en": {"subject": "x", "html": bomb, "links": []}})
        done = render_group([job(good, {"profile": {}}), job(bad, {"profile": {}}), job(good, {"profile": {}})])
        assert [isinstance(one, RenderError) for one in done] == [False, True, False]


def job(version: TemplateVersion, context: dict[str, Any]) -> RenderJob:
    return RenderJob(1, "p", version.pk, "en", context)


@db
def test_what_cannot_be_rendered_is_said_of_that_job_alone() -> None:
    version = publish()
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    jobs = [
        RenderJob(1, "p", 999_999, "en", {}),
        job(version, {"profile": {"first_name": "x" * 300_000}}),
        job(version, {"profile": deep}),
        job(version, {("a", "b"): 1}),  # type: ignore[dict-item]
        job(version, {"profile": {"first_name": "ok", "at": NOW, "nan": float("nan")}}),
    ]
    assert [isinstance(one, RenderError) for one in render_group(jobs)] == [True] * 4 + [False]


# publishing


@db
def test_publishing_freezes_and_is_safe_to_repeat() -> None:
    version = publish(key="once")
    template_row = version.template
    assert publish_template(template_row, now=NOW + timedelta(days=1)).pk == version.pk
    template_row.content["en"]["subject"] = "Other"
    template_row.save()
    second = publish_template(template_row, now=NOW)
    assert (version.number, second.number) == (1, 2)
    with pytest.raises(TypeError):
        version.save()


@db
def test_every_problem_is_told_at_once() -> None:
    content = {
        "en": {"subject": " ", "html": "{{ nobody }} {{ links.nowhere }}", "footer": "x"},
        "zh": {"subject": "{{ 'a' | safe }}", "html": "<p>", "mjml": "<mjml/>"},
        "de": [],
    }
    problems = check_template(Template(channel="email", klass="marketing", content=content))
    told = {(problem.path, problem.message.split(":")[0]) for problem in problems}
    assert ("topic", "is required, or people could not leave it") in told
    assert ("content.en.footer", "the channel has no such part") in told
    assert ("content.en.subject", "is empty") in told
    assert ("content.en.html", "has no unsubscribe link") in told
    assert any("line 1: there is no variable 'nobody'" in str(problem) for problem in problems)
    assert any("line 1: there is no variable 'links.nowhere'" in str(problem) for problem in problems)
    assert ("content.zh.html", "is written twice") in told
    assert ("content.zh.subject", "line 1") in told
    assert ("content.de", "must be parts by name, each a text") in told


@db
def test_publishing_tells_faults_of_every_kind_at_once_and_stores_nothing() -> None:
    """A topic that is missing, words that cannot be read, HTML that is forbidden, a link that leads nowhere, MJML that
    is none, an unsubscribe link that is missing and a variable that the sample does not have."""
    body = "<html><body onload='x()'><script>1</script><a href='javascript:1'>a</a>Hi</body></html>"
    content = {
        "en": {"subject": "{{ 'a' | safe }}", "html": body},
        "de": {"subject": "Hallo", "mjml": "<mjml><mj-body></mjml>", "text": "Hi {{ nobody }} http://a@b.example/"},
        "zh-hans": {"subject": "您好", "html": "<html><body>{{ event.plan }}</body></html>"},
    }
    template_row = draft(content=content)
    template_row.save()
    with pytest.raises(Invalid) as raised:
        publish_template(template_row, now=NOW)
    told = [(problem.path, problem.message.split(":")[0]) for problem in raised.value.problems]
    assert sorted(told) == sorted(
        [
            ("topic", "is required, or people could not leave it"),
            ("content.en.subject", "line 1"),
            ("content.en.html", "<script> is not allowed"),
            ("content.en.html", "the attribute onload is not allowed"),
            ("content.en.html", "line 1"),
            ("content.en.html", "has no unsubscribe link"),
            ("content.de.mjml", "unexpected end of stream in root template"),
            ("content.de.mjml", "has no unsubscribe link"),
            ("content.de.text", "line 1"),
            ("content.de.text", "has no unsubscribe link"),
            ("content.de.text", "line 1"),
            ("content.zh-hans.html", "has no unsubscribe link"),
            ("content.zh-hans.html", "line 1"),
            ("content.zh-hans", "with the sample data"),
        ]
    )
    assert not template_row.versions.exists()
    with pytest.raises(Invalid) as shown:
        preview_template(template_row, locale="en")
    assert len([one for one in shown.value.problems if one.path.startswith("content.en")]) == 4


@db
@pytest.mark.parametrize(
    "content", [None, [], {}, {"en": "Hello"}, {"en": {"subject": 1}}, {"en": {}}, {"en": {"html": ""}}]
)
@pytest.mark.parametrize("channel", ["email", "pigeon"])
def test_a_draft_of_any_shape_is_told_and_never_raises_another_error(content: Any, channel: str) -> None:
    template_row = Template(channel=channel, klass="transactional", content=content)
    for ask in (compile_template, lambda row: preview_template(row, locale="en")):
        with pytest.raises(Invalid) as raised:
            ask(template_row)
        assert raised.value.problems


@db
@pytest.mark.parametrize(
    "danger",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<iframe src=//x></iframe>", "<form></form>",
        '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">', '<base href="https://evil.example/">',
        '<a href="javascript:alert(1)">x</a>', '<svg onload="alert(1)">',
    ],
)  # fmt: skip
def test_what_runs_or_loads_is_refused(danger: str) -> None:
    with pytest.raises(Invalid):
        publish(HTML.replace("<p>", danger + "<p>"))


@db
def test_a_variable_that_the_sample_misses_is_told_at_publish() -> None:
    with pytest.raises(Invalid, match="with the sample data"):
        publish(HTML.replace("<p>", "<p>{{ event.plan }}"))
    assert (
        publish(HTML.replace("<p>", "<p>{{ event.plan }}"), key="told", sample={"event": {"plan": "pro"}}).number == 1
    )


MJML = """<mjml><mj-head><mj-preview>{{ preheader }}</mj-preview><mj-style inline="inline">.x { color: #123456 }</mj-style>
</mj-head><mj-body>{% if points.balance > 10 %}<mj-section><mj-column><mj-text css-class="x">Hello {{ profile | name }}
<table>{% for one in event.items %}<tr><td>{{ one.title }}</td><td>{{ one.price | money("USD") }}</td></tr>{% endfor %}</table>
</mj-text><mj-button href="https://shop.example/cart?a={{ coupon.code | urlencode }}&amp;b=1">Go</mj-button></mj-column></mj-section>{% endif %}
<mj-section><mj-column><mj-text><a href="{{ links.unsubscribe }}">Leave</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


@db
def test_mjml_keeps_logic_where_it_stands() -> None:
    items = [{"title": "Tea <green>", "price": 450}, {"title": "Cup", "price": 1200}]
    content = {
        "en": {"subject": "Hi\n{{ profile.first_name }}", "preheader": "5 & more {{ coupon.code }}", "mjml": MJML}
    }
    sample = {"event": {"items": items}, "coupon": {"code": "A B"}}
    template_row = draft(topic=make_topic(), content=content, sample=sample)
    template_row.save()
    version = publish_template(template_row, now=NOW)
    row = sent(
        make_profile(email="a@example.com", first_name="Mei"), version, context=sample | {"points": {"balance": 11}}
    )
    page = render(row)
    html = page.parts["html"]
    assert page.subject == "Hi Mei"
    assert "5 &amp; more A B" in html
    plain = re.sub(r' style="[^"]*"', "", html)
    first, second = ("<tr><td>Tea &lt;green&gt;</td><td>$4.50</td></tr>", "<tr><td>Cup</td><td>$12.00</td></tr>")
    assert f"<table><tbody>{first}{second}</tbody></table>" in plain
    assert "color: #123456" in html
    assert "fonts.g" not in html
    assert "pjx" not in html
    assert html.count("/o/") == 1
    assert 'lang="en"' in html
    assert "Hello Mei\nTea <green> $4.50\nCup $12.00\n[Go](http" in page.parts["text"]
    assert page.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert page.headers["List-Unsubscribe"].startswith("<http://127.0.0.1:8000/u/")
    poor = sent(row.profile, version, prefix="poor", context=sample | {"points": {"balance": 1}})
    assert "Hello" not in render(poor).parts["html"]


@db
def test_people_get_their_language_and_transactional_mail_no_unsubscribe_header() -> None:
    content = {
        "en": {"subject": "Hello {{ profile.first_name }}", "html": HTML},
        "zh-hans": {"subject": "您好 {{ profile | name }}", "html": CHINESE},
    }
    template_row = draft(content=content, klass="transactional")
    template_row.save()
    version = publish_template(template_row, now=NOW)
    page = render(sent(make_profile(email="a@example.com", first_name="玫", last_name="林", locale="zh-CN"), version))
    assert (page.subject, page.locale, page.headers) == ("您好 林玫", "zh-hans", {})
    assert "您好 林玫" in page.parts["text"]


@db
def test_a_subject_stays_one_line_whatever_a_name_holds() -> None:
    version = publish(subject="Hello {{ profile.first_name }}")
    page = render(sent(make_profile(email="a@example.com", first_name="a\r\nBcc: x@example.com\x1b\u2028b"), version))
    assert page.subject == "Hello a Bcc: x@example.com b"


@db
@pytest.mark.parametrize("key", starter_keys())
@pytest.mark.parametrize("locale", ["en", "zh-Hans"])
def test_every_starter_message_publishes_and_previews(key: str, locale: str) -> None:
    make_topic("offers")
    make_topic("service", purpose="lifecycle", opt_in=False)
    template_row, _ = install_starter(key)
    version = publish_template(template_row, now=NOW)
    page = preview_template(template_row, locale=locale)
    assert page.locale == locale.lower()
    assert "/c/" not in page.parts["html"] + page.parts["text"]
    assert 'href="#"' in page.parts["html"]
    assert version.number == 1


@db
def test_a_preview_tells_what_a_person_misses() -> None:
    with pytest.raises(RenderError, match="first_name"):
        preview_template(
            draft(topic=make_topic(), html=HTML.replace(' | default("you", true)', "")),
            locale="en",
            context={"profile": {}},
        )
