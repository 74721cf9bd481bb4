"""Lists of people for programs: what there is, who is on one, and putting people on or taking them off."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from common import audit
from common.params import Invalid, Problem
from segments.api.base import ApiView
from segments.api.people import user_ids
from segments.lists import change
from segments.models.groups import ListMember, StaticList

MOST = 500
KEY_LETTERS = 80


class ListSerializer(serializers.Serializer[StaticList]):
    key = serializers.CharField()
    name = serializers.CharField()
    name_zh = serializers.CharField()
    size = serializers.IntegerField()
    changed_at = serializers.DateTimeField(allow_null=True)


class SaveListRequest(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    name_zh = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class ListedSerializer(serializers.Serializer[ListMember]):
    public_id = serializers.UUIDField(source="profile.public_id")
    user_ids = serializers.SerializerMethodField()
    added_at = serializers.DateTimeField()

    def get_user_ids(self, row: ListMember) -> list[str]:
        return user_ids(row.profile)


class NamedPerson(serializers.Serializer[Any]):
    """The first name that is filled tells who it is."""

    user_id = serializers.CharField(required=False, max_length=255)
    email = serializers.CharField(required=False, max_length=255)
    phone = serializers.CharField(required=False, max_length=255)
    anonymous_id = serializers.CharField(required=False, max_length=255)
    public_id = serializers.CharField(required=False, max_length=255)


class ChangeRequest(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=["add", "remove"])
    people = NamedPerson(many=True, help_text=f"1 to {MOST}")

    def validate_people(self, value: list[Any]) -> list[Any]:
        if not 1 <= len(value) <= MOST:
            raise serializers.ValidationError(f"Name 1 to {MOST} people.")
        return value


class RefusedPerson(serializers.Serializer[Any]):
    place = serializers.IntegerField(source="line", help_text="In `people`, from 0")
    code = serializers.CharField()
    reason = serializers.CharField()


class ChangeAnswer(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    known = serializers.IntegerField(help_text="People who were right already, or named twice")
    refused = RefusedPerson(many=True, help_text="People whom nobody knows; the others are done")


class Lists(ApiView):
    scope = "segments:read"
    serializer_class = ListSerializer
    queryset = StaticList.objects.all()

    @extend_schema(tags=["lists"], operation_id="lists_list", responses=ListSerializer(many=True),
                   summary="All lists of people")  # fmt: skip
    def get(self, request: Request) -> Response:
        self.asked()
        return self.paged(self.get_queryset())


class OnList(ApiView):
    scope = "segments:read"
    serializer_class = ListedSerializer
    queryset = ListMember.objects.none()

    @extend_schema(tags=["lists"], operation_id="lists_members", responses=ListedSerializer(many=True),
                   summary="Who is on it, newest first")  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        rows = ListMember.objects.filter(list=get_object_or_404(StaticList, key=key)).select_related("profile")
        return self.paged(rows.prefetch_related("profile__identities"))


class SaveList(ApiView):
    scope = "segments:write"
    serializer_class = SaveListRequest

    @extend_schema(tags=["lists"], operation_id="lists_save", request=SaveListRequest, responses=ListSerializer,
                   summary="Make or rename a list")  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        given = self.body()
        if len(key) > KEY_LETTERS:
            raise Invalid([Problem("key", "A key has at most 80 letters.")])
        row, made = StaticList.objects.update_or_create(key=key, defaults=given)
        audit.record("list.save", f"list:{key}", now=self.now, actor=request.auth, detail={"made": made})
        return Response(ListSerializer(row).data)


class ChangeList(ApiView):
    scope = "segments:write"
    serializer_class = ChangeRequest

    @extend_schema(tags=["lists"], operation_id="lists_change", request=ChangeRequest, responses=ChangeAnswer,
                   summary="Put people on a list or take them off")  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        target, given = get_object_or_404(StaticList, key=key), self.body()
        done, refused = change(target, given["people"], action=given["action"], now=self.now)
        detail = {"rows": done.rows, "added": done.added, "removed": done.removed, "refused": done.refused}
        audit.record(f"list.{given['action']}", f"list:{key}", now=self.now, actor=request.auth, detail=detail)
        said = {"added": done.added, "removed": done.removed, "known": done.known, "refused": refused}
        return Response(ChangeAnswer(said).data)
