"""What programs send and get where the life of a journey is concerned."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from campaigns.models import Transfer
from campaigns.publish import FATES


class FindingSerializer(serializers.Serializer[Any]):
    severity = serializers.CharField(source="severity.value", help_text="error or warning")
    lint = serializers.CharField()
    place = serializers.CharField(help_text="A path such as nodes.hello")
    message = serializers.CharField()


class FindingsAnswer(serializers.Serializer[Any]):
    findings = FindingSerializer(many=True)
    confirm = serializers.ListField(
        child=serializers.CharField(), help_text="What `confirmed` takes: yes to every warning"
    )
    audience = serializers.IntegerField(
        allow_null=True, help_text="People it may reach in 30 days; null: nobody can say"
    )


class MadeItemSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    key = serializers.CharField()
    there = serializers.BooleanField()


class ChangeSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    node = serializers.CharField()
    text = serializers.CharField(help_text="A sentence, in the language asked for")


class DiffAnswer(serializers.Serializer[Any]):
    changes = ChangeSerializer(many=True)


class DiffQuery(serializers.Serializer[Any]):
    old = serializers.IntegerField(required=False, min_value=1, help_text="A version; without it, what runs")
    new = serializers.IntegerField(required=False, min_value=1, help_text="A version; without it, the draft")


class ExportQuery(serializers.Serializer[Any]):
    version = serializers.IntegerField(required=False, min_value=1, help_text="Without it, the draft")
    words = serializers.BooleanField(default=True, help_text="Templates with their words")


class VersionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    published_at = serializers.DateTimeField()
    published_by = serializers.CharField(allow_null=True)
    note = serializers.CharField()
    digest = serializers.CharField()


class TransferSerializer(serializers.Serializer[Transfer]):
    version = serializers.IntegerField(source="version.number")
    state = serializers.CharField()
    total = serializers.IntegerField()
    kept = serializers.IntegerField()
    moved = serializers.IntegerField()
    exited = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class TextRequest(serializers.Serializer[Any]):
    text = serializers.DictField(help_text="A journey as `export` gives it")
    answers = serializers.DictField(required=False, default=dict, help_text="What the text asks, by key")


class InstallRequest(TextRequest):
    replace = serializers.BooleanField(default=False, help_text="Replace the draft of a journey that is there")


class InstallAnswer(serializers.Serializer[Any]):
    made = MadeItemSerializer(many=True)
    replaced = serializers.BooleanField(help_text="Whether the draft of a journey that was there was replaced")


class CheckAnswer(serializers.Serializer[Any]):
    items = MadeItemSerializer(many=True, help_text="What installing would make, and what is there")
    findings = FindingSerializer(many=True)


class DraftRequest(serializers.Serializer[Any]):
    graph = serializers.DictField()


class ReasonRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)


class PeopleRequest(ReasonRequest):
    under_way = serializers.ChoiceField(
        list(FATES), default="finish", help_text="What becomes of people on older versions"
    )
    mapping = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()),
        required=False,
        default=dict,
        help_text="Version number → node → node of the new version, @exit or @stay",
    )


class PublishRequest(PeopleRequest):
    enter_present = serializers.BooleanField(default=False, help_text="Takes the scope journeys:enrol too")
    confirmed = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True, default=None,
        help_text="Warnings said yes to; left out: all",
    )  # fmt: skip


class RollBackRequest(PeopleRequest):
    version = serializers.IntegerField(min_value=1)
