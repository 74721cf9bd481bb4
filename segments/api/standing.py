"""Where a person stands, for the product's own servers by key, and for the person's own app by a signed token.

The app's door only reads, and only that person; any page may ask, since what proves the person is the token, never a
cookie. It is throttled by person.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import override
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common import clock
from common.text import is_chinese
from segments import tokens
from segments.api.base import ApiView
from segments.api.own import HasToken, PersonThrottle, PersonToken
from segments.api.people import person
from segments.growth.standing import Expiring, Standing, standing, state_of, worth
from segments.models import Coupon, Level, Profile
from segments.tokens import standing_token

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Accept-Language",
    "Access-Control-Max-Age": "600",
    "Cache-Control": "no-store",
}


class AmountSerializer(serializers.Serializer[Any]):
    points = serializers.IntegerField()
    at = serializers.DateTimeField()


class PointsSerializer(serializers.Serializer[Any]):
    active = serializers.IntegerField(help_text="May be spent now")
    owed = serializers.IntegerField(help_text="Met by the next points that come")
    pending = serializers.IntegerField(help_text="Still to come")
    expiring = AmountSerializer(many=True, help_text="What of the active points ends when, soonest first")
    coming = AmountSerializer(many=True, help_text="What of the pending points comes when")


class RungSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()


class WorthSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="amount, percent, shipping, gift, service")
    amount = serializers.IntegerField(help_text="Minor units of the currency; of percent, basis points")
    currency = serializers.CharField(allow_blank=True)


class PrivilegeSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    benefit = WorthSerializer(allow_null=True)


class LevelSerializer(serializers.Serializer[Any]):
    level = RungSerializer(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    earned = serializers.IntegerField(help_text="Points earned in the term")
    missing_to_keep = serializers.IntegerField(help_text="By the end of the term; 0: safe")
    next = RungSerializer(allow_null=True)
    missing_to_next = serializers.IntegerField()
    privileges = PrivilegeSerializer(many=True)


class BadgeSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    icon = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class MissionSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    text = serializers.CharField(help_text="What to do and what it brings, as a sentence")
    period = serializers.CharField(allow_blank=True, help_text="2026-03-02, 2026-W10, 2026-03, or empty for ever")
    count = serializers.IntegerField()
    target = serializers.IntegerField()
    times = serializers.IntegerField(help_text="How often it was completed in the period")
    over = serializers.BooleanField(help_text="Completed as often as may be")
    completed_at = serializers.DateTimeField(allow_null=True)
    lapses_at = serializers.DateTimeField(allow_null=True, help_text="When the streak breaks unless it goes on")


class CouponSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    worth = WorthSerializer()
    state = serializers.CharField(help_text="assigned (may be used), redeemed, expired, void")
    expires_at = serializers.DateTimeField(allow_null=True)
    redeemed_at = serializers.DateTimeField(allow_null=True)


class StandingSerializer(serializers.Serializer[Any]):
    points = PointsSerializer()
    level = LevelSerializer()
    badges = BadgeSerializer(many=True)
    missions = MissionSerializer(many=True)
    coupons = CouponSerializer(many=True)


class StandingQuery(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255, help_text="Whose standing")
    language = serializers.CharField(max_length=35, required=False, help_text="Of names and sentences: en or zh-Hans")


class OwnQuery(serializers.Serializer[Any]):
    language = serializers.CharField(max_length=35, required=False, help_text="Of names and sentences: en or zh-Hans")


class OneStanding(ApiView):
    scope = "growth"
    serializer_class = StandingSerializer
    query = StandingQuery

    @extend_schema(
        tags=["growth"], operation_id="growth_get", parameters=[StandingQuery],
        summary="A person's points, level, badges, missions and coupons",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked()
        who = person(asked["user_id"])
        return Response(read(who, asked.get("language") or who.locale))


class TokenRequest(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255)


class StandingTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Bearer token of the person's own app, to read only")
    expires_at = serializers.DateTimeField()


class StandingToken(ApiView):
    scope = "growth"
    serializer_class = TokenRequest

    @extend_schema(
        tags=["growth"], operation_id="growth_token", request=TokenRequest, responses=StandingTokenSerializer,
        summary="A token by which one person's app reads where the person stands",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        token = standing_token(person(self.body()["user_id"]).pk, now=self.now)
        return Response(StandingTokenSerializer({"token": token, "expires_at": self.now + tokens.LIFE}).data)


class Mine(ApiView):
    """The door of the person's own app."""

    public: ClassVar[bool] = True
    authentication_classes = (PersonToken,)  # type: ignore[assignment]
    permission_classes = (HasToken,)  # type: ignore[assignment]
    throttle_classes = (PersonThrottle,)  # type: ignore[assignment]
    serializer_class = StandingSerializer
    query = OwnQuery

    @extend_schema(
        tags=["growth"], operation_id="growth_mine", parameters=[OwnQuery],
        summary="My points, level, badges, missions and coupons (by the token of my app)",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked()
        who = request.auth
        assert isinstance(who, Profile)
        wished = asked.get("language") or who.locale or request.headers.get("Accept-Language", "").partition(",")[0]
        return Response(read(who, wished))

    @extend_schema(exclude=True)
    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """What a browser asks before it asks from another page."""
        return Response(status=204)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS":
            super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in CORS.items():
            answer[name] = value
        return answer


def read(who: Profile, wished: str) -> Any:
    """The standing as JSON, with names in the language wished for: Chinese, else English."""
    language = "zh-hans" if is_chinese((wished or "").strip() or "en") else "en"
    now = clock.now()
    with override(language):
        return StandingSerializer(_shown(standing(who, now, language=language), now)).data


def _shown(found: Standing, now: Any) -> dict[str, Any]:
    points, rung = found.points, found.rung
    return {
        "points": {
            "active": points.active, "owed": points.negative, "pending": points.pending,
            "expiring": _amounts(found.expiring), "coming": _amounts(found.coming),
        },
        "level": {
            "level": _rung(rung.level), "since": rung.since, "until": rung.until, "earned": rung.earned,
            "missing_to_keep": rung.missing_to_keep, "next": _rung(rung.next),
            "missing_to_next": rung.missing_to_next,
            "privileges": [
                {"key": one.key, "name": one.title, "benefit": worth(one.benefit) if one.benefit else None}
                for one in rung.privileges
            ],
        },
        "badges": [
            {"key": one.badge.key, "name": one.badge.title, "icon": one.badge.icon, "at": one.at}
            for one in found.badges
        ],
        "missions": [
            {
                "key": one.mission.key, "name": one.mission.title, "text": one.text, "period": one.period,
                "count": one.count, "target": one.mission.target, "times": one.times, "over": one.over,
                "completed_at": one.completed_at, "lapses_at": one.lapses_at,
            }
            for one in found.tasks
        ],
        "coupons": [_coupon(one, now) for one in found.coupons],
    }  # fmt: skip


def _amounts(rows: list[Expiring]) -> list[dict[str, Any]]:
    return [{"points": one.points, "at": one.at} for one in rows]


def _rung(level: Level | None) -> dict[str, str] | None:
    return {"key": level.key, "name": level.title} if level else None


def _coupon(one: Coupon, now: Any) -> dict[str, Any]:
    benefit = one.pool.benefit
    return {
        "code": one.code, "name": benefit.title, "worth": worth(benefit), "state": state_of(one, now),
        "expires_at": one.expires_at, "redeemed_at": one.redeemed_at,
    }  # fmt: skip
