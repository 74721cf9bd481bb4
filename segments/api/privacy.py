"""What programs may do with one whole person: export, erase, merge and undo, each under a scope of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from segments.api.base import ApiView
from segments.api.refusals import Conflict
from segments.erase import erase
from segments.export import note, pieces
from segments.merge import TwoKnownPeople, merge
from segments.models import Profile
from segments.unmerge import undo


class MergeRequest(serializers.Serializer[Any]):
    into = serializers.UUIDField(help_text="Public id of the profile that stays")
    reason = serializers.CharField(max_length=200)
    force = serializers.BooleanField(default=False, help_text="Even if both have a user id")


class UndoRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=200)


class EmptyRequest(serializers.Serializer[Any]):
    """Nothing needs to be said."""


class MergedAnswer(serializers.Serializer[Any]):
    public_id = serializers.UUIDField()
    merged_into = serializers.UUIDField(allow_null=True)


class ErasedAnswer(serializers.Serializer[Any]):
    public_id = serializers.UUIDField()
    erased_at = serializers.DateTimeField()
    waiting = serializers.IntegerField(help_text="Messages on the wire; ask again until it is 0")


class OfPerson(ApiView):
    """A view of one profile, also of one that was merged or erased."""

    def profile(self, public_id: UUID) -> Profile:
        found = Profile.objects.filter(public_id=public_id).first()
        if found is None:
            raise Http404
        return found


class Export(OfPerson):
    scope = "profiles:export"
    serializer_class = EmptyRequest

    @extend_schema(
        tags=["people"],
        operation_id="people_export",
        summary="Everything about a person, streamed as JSON",
        responses={(200, "application/json"): OpenApiResponse(OpenApiTypes.OBJECT, "A list for each kind of row")},
    )
    def get(self, request: Request, public_id: UUID) -> HttpResponseBase:
        self.asked()
        profile, now = self.profile(public_id), self.now
        note(profile, now=now, actor=request.auth)
        answer = StreamingHttpResponse((text for text, _ in pieces(profile, now=now)), content_type="application/json")
        answer["Cache-Control"] = "no-store"
        return answer


class Erase(OfPerson):
    scope = "profiles:erase"
    serializer_class = EmptyRequest

    @extend_schema(
        tags=["people"],
        operation_id="people_erase",
        summary="Erase a person from every table; repeating it does no harm",
        request=EmptyRequest,
        responses=ErasedAnswer,
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        profile = self.profile(public_id)
        done = erase(profile, now=self.now, actor=request.auth)
        profile.refresh_from_db()
        said = {"public_id": profile.public_id, "erased_at": profile.erased_at, "waiting": done.waiting}
        return Response(ErasedAnswer(said).data)


class MergeInto(OfPerson):
    scope = "profiles:merge"
    serializer_class = MergeRequest

    @extend_schema(
        tags=["people"],
        operation_id="people_merge",
        summary="This profile becomes part of another",
        request=MergeRequest,
        responses=MergedAnswer,
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        said = self.body()
        gone, into = self.profile(public_id), self.profile(said["into"])
        if gone.merged_into_id != into.pk:
            try:
                merge(gone, into, now=self.now, actor=str(request.auth), reason=said["reason"], force=said["force"])
            except TwoKnownPeople as error:
                raise Conflict(str(error), code="two_known_people") from None
            except ValueError as error:
                raise Conflict(str(error)) from None
        return Response(MergedAnswer({"public_id": gone.public_id, "merged_into": into.public_id}).data)


class Undo(OfPerson):
    scope = "profiles:merge"
    serializer_class = UndoRequest

    @extend_schema(
        tags=["people"],
        operation_id="people_unmerge",
        summary="Take the merge of this profile back",
        request=UndoRequest,
        responses=MergedAnswer,
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        said, gone = self.body(), self.profile(public_id)
        try:
            undo(gone, now=self.now, actor=str(request.auth), reason=said["reason"])
        except ValueError as error:
            raise Conflict(str(error)) from None
        return Response(MergedAnswer({"public_id": gone.public_id, "merged_into": None}).data)
