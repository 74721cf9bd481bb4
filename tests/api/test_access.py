"""Who may what: every route refuses a missing, wrong, revoked or foreign key, and says so in one form."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from common import clock
from common.models import ApiKey
from common.scopes import SCOPES
from tests.api.callers import Program, a_key, a_program, codes, staff

pytestmark = pytest.mark.django_db
UUID = "7f5b0a5e-7a5b-4a5e-8a5b-7a5b0a5e7f5b"
SAMPLES = {"slug": "some", "uuid": UUID, "path": "u1"}
PUBLIC = {"api-schema", "api-closed"}


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def routes() -> dict[str, Any]:
    """Name → view class of every address under /api/."""

    def walk(patterns: list[Any]) -> Iterator[tuple[str, Any]]:
        for one in patterns:
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns)
            elif isinstance(one, URLPattern) and str(one.pattern).lstrip("^").startswith("api/"):
                yield str(one.name), getattr(one.callback, "view_class", getattr(one.callback, "cls", None))

    return dict(walk(get_resolver().url_patterns))


def address(name: str) -> str:
    from django.urls import reverse

    values = {"key": "some", "public_id": UUID, "user_id": "u1", "pk": 1}
    pattern = next(one for one in _patterns() if one.name == name)
    return reverse(name, kwargs={key: values[key] for key in pattern.pattern.converters})


def _patterns() -> list[URLPattern]:
    def walk(patterns: list[Any]) -> Iterator[URLPattern]:
        for one in patterns:
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns)
            else:
                yield one

    return list(walk(get_resolver().url_patterns))


PROTECTED = sorted(routes().keys() - PUBLIC)


def call(program: Client, name: str) -> Any:
    view = routes()[name]
    if hasattr(view, "post"):
        return program.post(address(name), {}, content_type="application/json")
    return program.get(address(name))


def test_there_are_routes_and_each_names_a_scope() -> None:
    assert len(PROTECTED) >= 14
    for name in PROTECTED:
        assert routes()[name].scope in SCOPES, name
        assert not getattr(routes()[name], "public", False)


@pytest.mark.parametrize("name", PROTECTED)
def test_without_a_key_it_is_401(name: str) -> None:
    answer = call(Client(), name)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert codes(answer) == [("not_authenticated", None)]


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_the_matrix_of_routes_and_scopes(name: str, scope: str) -> None:
    answer = call(a_program(scope).client, name)
    if routes()[name].scope == scope:
        assert answer.status_code in (200, 400, 404)
    else:
        assert answer.status_code == 403
        assert codes(answer) == [("permission_denied", None)]


@pytest.mark.parametrize("name", PROTECTED)
def test_a_key_without_scopes_may_nothing_and_a_star_everything(name: str) -> None:
    assert call(a_program().client, name).status_code == 403
    assert call(a_program("*").client, name).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s[:-1] + ("0" if s[-1] != "0" else "1"), lambda s: s[:11], lambda s: s + "x", lambda s: "",
        lambda s: "pk_" + "0" * 48, lambda s: "\x01" * 20, lambda s: "é" * 20,
    ],
)  # fmt: skip
def test_a_wrong_secret_is_401(spoil: Any) -> None:
    answer = Program(spoil(a_key("*"))).get("/api/segments")
    assert answer.status_code == 401
    assert codes(answer)[0][0] in ("authentication_failed", "not_authenticated")


def test_a_revoked_or_expired_key_is_401() -> None:
    now = clock.now()
    for fields in ({"revoked_at": now}, {"expires_at": now - timedelta(seconds=1)}):
        assert Program(a_key("*", **fields)).get("/api/segments").status_code == 401
    assert Program(a_key("*", expires_at=now + timedelta(hours=1))).get("/api/segments").status_code == 200


def test_a_key_in_the_address_or_as_basic_is_no_key() -> None:
    secret = a_key("*")
    assert Client().get("/api/segments", {"api_key": secret, "key": secret}).status_code == 401
    assert Client(headers={"Authorization": f"Basic {secret}"}).get("/api/segments").status_code == 401


def test_the_last_use_is_kept_at_most_once_a_minute(django_assert_num_queries: Any) -> None:
    program = a_program("segments:read")
    program.get("/api/segments")
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(2):  # the key, the page
        program.get("/api/segments")
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    program.get("/api/segments")
    assert ApiKey.objects.get().last_used_at > first


def test_a_flood_of_wrong_keys_becomes_429_and_a_right_one_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    from segments.api.auth import WrongKeyThrottle

    monkeypatch.setattr(WrongKeyThrottle, "THROTTLE_RATES", {"api_wrong_key": "3/min"})
    wrong = Program("pk_" + "0" * 48)
    assert [wrong.get("/api/segments").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    answer = wrong.get("/api/segments")
    assert int(answer["Retry-After"]) > 0
    assert codes(answer) == [("throttled", None)]
    assert a_program("segments:read").get("/api/segments").status_code == 200


def test_a_key_that_asks_too_often_is_429(monkeypatch: pytest.MonkeyPatch) -> None:
    from segments.api.auth import KeyThrottle

    monkeypatch.setattr(KeyThrottle, "THROTTLE_RATES", {"api": "2/min"})
    busy, calm = a_program("segments:read"), a_program("segments:read")
    assert [busy.get("/api/segments").status_code for _ in range(3)] == [200, 200, 429]
    assert calm.get("/api/segments").status_code == 200


def test_staff_in_the_browser_may_look_by_permission_and_change_nothing() -> None:
    assert staff("view_segment").get("/api/segments").status_code == 200
    assert staff("view_journey").get("/api/segments").status_code == 403
    assert staff("view_segment", is_staff=False).get("/api/segments").status_code == 401
    browser = staff("enrol_journey", "view_journey")
    answer = browser.post("/api/journeys/some/enrol", {"people": []}, content_type="application/json")
    assert answer.status_code == 401
    assert staff().get("/api/inbox", {"user_id": "u"}).status_code == 403


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/segments/", "/api/segments/a b", "/api/deliveries/7"])
def test_an_address_that_is_not_there_is_404_in_the_same_form(path: str) -> None:
    for client in (Client(), a_program("*").client):
        answer = client.get(path)
        assert answer.status_code == 404
        assert codes(answer) == [("not_found", None)]


def test_a_wrong_method_is_405_in_the_same_form() -> None:
    answer = a_program("*").client.delete("/api/segments")
    assert (answer.status_code, codes(answer)) == (405, [("method_not_allowed", None)])


def test_the_schema_is_open_and_names_every_scope() -> None:
    answer = Client().get("/api/schema/", {"format": "json"})
    assert answer.status_code == 200
    operations = [operation for path in answer.json()["paths"].values() for operation in path.values()]
    own = [one["operationId"] for one in operations if one["security"] == [{"person": []}]]
    assert own == ["growth_mine"], "what a person's own token opens has no scope"
    named = {one["x-scope"] for one in operations if one["operationId"] not in own}
    assert named == SCOPES.keys() - {"ingest"}
    assert "key" in answer.json()["components"]["securitySchemes"]


def test_the_schema_is_made_without_a_warning(tmp_path: Any) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
    assert "journeys_enrol" in (tmp_path / "schema.yml").read_text()
