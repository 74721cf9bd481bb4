"""Which state of a segment a program has seen, so that of two who save at one moment the second is told."""

from __future__ import annotations

import hashlib
import json

from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from segments.models import Segment

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `version` that was read, quoted as in `ETag`: if the segment has changed since, nothing is saved"
    " and the answer is 412. `*`: there must be one. Without it the last save wins",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: only make a new segment; 412 if there is one"
)


class ChangedMeanwhile(APIException):
    """The segment is not as the caller says it is (RFC 9110, section 13.1)."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "changed_meanwhile"


def version_of(row: Segment) -> str:
    """A name for what a save can change of the segment: the same texts and rule have the same one."""
    said = [row.name, row.name_zh, row.description, row.rule]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


def with_tag(answer: Response, row: Segment) -> Response:
    """The answer with the segment's version as its entity tag."""
    answer["ETag"] = f'"{version_of(row)}"'
    return answer


def check_version(request: Request, row: Segment | None) -> None:
    """Raises ChangedMeanwhile unless the segment, None if there is none, is what the request's headers ask for. Call
    with the row locked."""
    wanted, unwanted = (request.headers.get(name, "").strip() for name in ("If-Match", "If-None-Match"))
    if wanted and (row is None or (wanted != "*" and version_of(row) not in _tags(wanted))):
        raise ChangedMeanwhile(
            gettext("There is no such segment any more.")
            if row is None
            else gettext("Somebody has changed this segment since you read it. Yours is not saved; read it again.")
        )
    if unwanted and row is not None and (unwanted == "*" or version_of(row) in _tags(unwanted)):
        raise ChangedMeanwhile(gettext("There is a segment with this key already."))


def _tags(header: str) -> set[str]:
    """The versions that a header lists; a proxy that packs answers makes tags weak, which says the same here."""
    return {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
