"""Journeys for programs: what there is, how people move through it, and letting people in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.enrol import NotLive, enrol
from campaigns.models import Enrolment, Journey
from campaigns.reads import funnel
from campaigns.triggers import Entry
from common import audit
from segments.api.base import ApiView
from segments.api.refusals import Conflict
from segments.models import Identity, Profile

MOST_PEOPLE = 500
MOST_VARIABLES = 50
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 100 visible characters; the same key never lets the same person in twice",
)


class JourneySerializer(serializers.Serializer[Journey]):
    key = serializers.CharField()
    name = serializers.CharField()
    name_zh = serializers.CharField()
    campaign = serializers.CharField(source="campaign.key")
    state = serializers.CharField(help_text="draft, live, paused or archived")
    version = serializers.IntegerField(source="live_version.number", allow_null=True, default=None)
    live_since = serializers.DateTimeField(allow_null=True)
    last_entry_at = serializers.DateTimeField(allow_null=True)


class JourneyDetailSerializer(JourneySerializer):
    description = serializers.CharField()
    holdout = serializers.FloatField(allow_null=True)
    graph = serializers.JSONField(source="live_version.graph", allow_null=True, default=None)


class NodeSerializer(serializers.Serializer[Any]):
    node = serializers.CharField()
    type = serializers.CharField()
    entered = serializers.IntegerField()
    waiting = serializers.IntegerField()
    parked = serializers.IntegerField()
    passed = serializers.IntegerField()
    ended = serializers.IntegerField()
    dropped = serializers.IntegerField()
    converted = serializers.IntegerField()


class FunnelSerializer(serializers.Serializer[Any]):
    journey = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    held_out = serializers.BooleanField(help_text="Figures of the people held out, who walk as ghosts")
    nodes = NodeSerializer(many=True)


class FunnelQuery(serializers.Serializer[Any]):
    held_out = serializers.BooleanField(default=False, help_text="The held out instead of the treated")


class PersonSerializer(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255, required=False)
    public_id = serializers.UUIDField(required=False)
    variables = serializers.DictField(required=False, help_text="Variables for templates, as event.properties.…")

    def validate_variables(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(value) > MOST_VARIABLES:
            raise ValidationError(f"At most {MOST_VARIABLES} variables.")
        return value

    def validate(self, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
        if ("user_id" in attrs) == ("public_id" in attrs):
            raise ValidationError("Either a user_id or a public_id.")
        return attrs


class EnrolRequest(serializers.Serializer[Any]):
    people = serializers.ListField(child=PersonSerializer(), min_length=1, max_length=MOST_PEOPLE)


class EnrolResult(serializers.Serializer[Any]):
    user_id = serializers.CharField(required=False)
    public_id = serializers.UUIDField(required=False)
    status = serializers.CharField(help_text="enrolled, refused, or unknown when there is no such person")
    reason = serializers.CharField(help_text="Why refused, else empty")
    enrolment = serializers.IntegerField(allow_null=True)
    held_out = serializers.BooleanField()


class EnrolAnswer(serializers.Serializer[Any]):
    results = EnrolResult(many=True)


class Journeys(ApiView):
    scope = "journeys:read"
    serializer_class = JourneySerializer
    queryset = Journey.objects.select_related("campaign", "live_version")

    @extend_schema(
        tags=["journeys"], operation_id="journeys_list", responses=JourneySerializer(many=True), summary="All journeys"
    )
    def get(self, request: Request) -> Response:
        self.asked()
        return self.paged(self.get_queryset())


class OfJourney(ApiView):
    """A view of one journey, by its key."""

    scope = "journeys:read"

    @property
    def journey(self) -> Journey:
        rows = Journey.objects.select_related("campaign", "live_version")
        row: Journey = get_object_or_404(rows, key=self.kwargs["key"])
        return row


class OneJourney(OfJourney):
    serializer_class = JourneyDetailSerializer

    @extend_schema(tags=["journeys"], operation_id="journeys_get", summary="One journey with its live flow")
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return Response(JourneyDetailSerializer(self.journey).data)


class JourneyFunnel(OfJourney):
    serializer_class = FunnelSerializer
    query = FunnelQuery

    @extend_schema(
        tags=["journeys"], operation_id="journeys_funnel", summary="People at each step", parameters=[FunnelQuery]
    )
    def get(self, request: Request, key: str) -> Response:
        ghosts = self.asked()["held_out"]
        journey = self.journey
        version = journey.live_version
        counts = funnel(journey, ghosts=ghosts)
        flow = version.graph.get("nodes", {}) if version else {}
        nodes = [
            {"node": node, "type": str(flow.get(node, {}).get("type", "")), **_figures(counts.get(node))}
            for node in dict.fromkeys([*_walk(version.graph if version else {}), *flow, *counts])
        ]
        answer = {
            "journey": journey.key,
            "version": version.number if version else None,
            "held_out": ghosts,
            "nodes": nodes,
        }
        return Response(FunnelSerializer(answer).data)


class Enrol(OfJourney):
    """Up to 500 people by their user id or public id; each is told for itself. Entry rules, caps and holdout apply. A
    journey whose trigger is `api` may need variables, and tells runs apart by one of them."""

    scope = "journeys:enrol"
    serializer_class = EnrolRequest

    @extend_schema(
        tags=["journeys"],
        operation_id="journeys_enrol",
        summary="Let people in",
        parameters=[IDEMPOTENCY],
        request=EnrolRequest,
        responses=EnrolAnswer,
    )
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        entry_key = f"api:{_idempotency_key(request)}"
        people = self.body()["people"]
        journey, now = self.journey, self.now
        known = _profiles(people)
        asked = api_params(journey)
        good = [one for one in people if _who(one) in known and not _missing(one, asked)]
        entries = [_entry(known[_who(one)], one, entry_key, asked, now) for one in good]
        try:
            report = enrol(journey, entries, now=now)
        except NotLive as error:
            raise Conflict(str(error), code="not_live") from None
        said = {"people": len(people), "entered": len(report.entered)}
        audit.record("journey.enrol", f"journey:{journey.key}", now=now, actor=request.auth, detail=said)
        results = _results(journey, people, known, entry_key, asked)
        return Response(EnrolAnswer({"results": results}).data)


def _walk(graph: Mapping[str, Any]) -> list[str]:
    """Node keys in the order in which a walk may meet them; the database does not keep the order of keys."""
    nodes, found = graph.get("nodes", {}), [graph.get("start", "")]
    for node in found:
        found += [to for to in nodes.get(node, {}).get("next", {}).values() if to in nodes and to not in found]
    return [node for node in dict.fromkeys(found) if node in nodes]


def _figures(count: Any) -> dict[str, int]:
    names = ("entered", "waiting", "parked", "passed", "ended", "dropped", "converted")
    return {name: getattr(count, name, 0) for name in names}


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 100 or not key.isascii() or not key.isprintable():
        raise ValidationError({"Idempotency-Key": "A header of 1 to 100 visible characters is needed."})
    return key


def _who(one: Mapping[str, Any]) -> tuple[str, str]:
    """The name by which a person is asked for: its kind and value."""
    return ("public_id", str(one["public_id"])) if "public_id" in one else ("user_id", one["user_id"])


def _profiles(people: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """The living profiles of those who are known, by what they were asked for."""
    named = [_who(one) for one in people]
    ids = [value for kind, value in named if kind == "public_id"]
    alive = Profile.objects.filter(public_id__in=ids, erased_at=None, merged_into=None)
    found = {("public_id", str(public)): pk for public, pk in alive.values_list("public_id", "pk")}
    users = [value for kind, value in named if kind == "user_id"]
    rows = Identity.objects.filter(kind=Identity.Kind.USER, value__in=users, profile__erased_at__isnull=True)
    return found | {("user_id", value): pk for value, pk in rows.values_list("value", "profile_id")}


def api_params(journey: Journey) -> Mapping[str, Any]:
    """What the live version's `api` trigger asks for; nothing for other triggers."""
    trigger = journey.live_version.graph.get("trigger", {}) if journey.live_version else {}
    return dict(trigger.get("params", {})) if trigger.get("type") == "api" else {}


def _missing(one: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Variables that are needed and not there."""
    wanted = [*asked.get("needs", ()), *filter(None, [asked.get("key", "")])]
    return [name for name in dict.fromkeys(wanted) if name not in one.get("variables", {})]


def _entry(profile: int, one: Mapping[str, Any], key: str, asked: Mapping[str, Any], now: datetime) -> Entry:
    said = dict(one.get("variables", {}))
    event = {"name": "api", "at": now.isoformat(), "value": None, "properties": said}
    run = str(said[asked["key"]]) if asked.get("key") else key
    return Entry(profile=profile, key=key, run_key=run[:120], context={"event": event}, reason="api", at=now)


def _results(
    journey: Journey,
    people: Sequence[Mapping[str, Any]],
    known: Mapping[tuple[str, str], int],
    key: str,
    asked: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """What became of each person under this key, the same for a replay."""
    rows = Enrolment.objects.filter(journey=journey, profile__in=known.values(), entry_key=key)
    found = {row.profile_id: row for row in rows}
    return [
        _result(one, found.get(known.get(_who(one), 0)), _missing(one, asked), _who(one) in known) for one in people
    ]


def _result(one: Mapping[str, Any], row: Enrolment | None, missing: Sequence[str], known: bool) -> dict[str, Any]:
    kind, value = _who(one)
    said: dict[str, Any]
    if row is None and known and missing:
        said = {"status": "refused", "reason": f"needs:{','.join(missing)}", "enrolment": None, "held_out": False}
    elif row is None:
        said = {"status": "unknown", "reason": "", "enrolment": None, "held_out": False}
    else:
        refused = row.state == Enrolment.State.REFUSED
        said = {
            "status": "refused" if refused else "enrolled",
            "reason": row.reason if refused else "",
            "enrolment": row.pk,
            "held_out": row.ghost,
        }
    return {kind: value, **said}
