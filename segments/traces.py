"""Where people leave traces that no foreign key shows: refused rows, reports of imports, examples, coupons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction

from common.models import AuditEntry
from segments import erase, export
from segments.holdings import Person, naming
from segments.models import Coupon, ImportJob, Membership, Profile, RejectedRow, Segment, Trait
from segments.models.groups import ListMember, StaticList

OWN = ("userId", "user_id", "anonymousId", "anonymous_id", "distinct_id", "email", "phone")


def rejected_rows(person: Person) -> Iterator[RejectedRow]:
    """Refused rows that name the person anywhere."""
    return naming(RejectedRow.objects.all(), "payload", person)


@erase.handlers.register("traces")
class ForgetTraces(erase.EraseHandler):
    """Refused rows go; reports, examples and audit details lose what names the person."""

    def search(self, person: Person, *, now: datetime) -> int:
        ids = [row.pk for row in rejected_rows(person)]
        for start in range(0, len(ids), erase.STEP):
            RejectedRow.objects.filter(pk__in=ids[start : start + erase.STEP]).delete()
        return len(ids) + _clean_reports(person) + _clean_examples(person) + _clean_audit(person)


@export.handlers.register("traces")
class ShowTraces(export.ExportHandler):
    """Refused rows that spoke of the person first of all."""

    def sections(self, person: Person, *, now: datetime) -> Iterator[export.Section]:
        yield "segments.rejectedrow", _their_rejects(person)


def _their_rejects(person: Person) -> Iterator[export.Row]:
    names = {value.lower() for _, value in person.names}
    for row in rejected_rows(person):
        try:
            said = json.loads(row.payload)
        except ValueError:
            continue
        own = {str(said.get(name, "")).lower() for name in OWN} if isinstance(said, dict) else set()
        if own & names:
            yield {"received_at": row.received_at.isoformat(), "code": row.code, "reason": row.reason, "row": said}


def _clean_reports(person: Person) -> int:
    """The first refused rows that an import's report quotes."""
    found = 0
    for job in list(naming(ImportJob.objects.all(), "report", person)):
        first = [one for one in job.report.get("first", []) if not person.named_in(json.dumps(one, ensure_ascii=False))]
        if len(first) < len(job.report.get("first", [])):
            ImportJob.objects.filter(pk=job.pk).update(report={**job.report, "first": first})
            found += 1
    return found


def _clean_examples(person: Person) -> int:
    """Examples of open traits that are this person's own values."""
    found = 0
    for traits in Profile.objects.filter(pk__in=person.ids).values_list("traits", flat=True):
        for trait in Trait.objects.filter(key__in=traits).exclude(examples=[]):
            value = traits[trait.key]
            short = value[:60] if isinstance(value, str) else value
            if short in trait.examples:
                examples = [one for one in trait.examples if one != short]
                found += Trait.objects.filter(pk=trait.pk).update(examples=examples)
    return found


def _clean_audit(person: Person) -> int:
    """Details of audit entries that name the person; the entry itself stays."""
    found = 0
    for column in ("detail", "reason"):
        blank: Any = "" if column == "reason" else {"erased": True}
        for entry in list(naming(AuditEntry.objects.all(), column, person)):
            found += AuditEntry.objects.filter(pk=entry.pk).update(**{column: blank})
    return found


@erase.handlers.register("coupons")
class FreeCoupons(erase.EraseHandler):
    """A code stays spent, but nobody's: the pool's books must add up."""

    keeps = (Coupon,)

    def settle(self, person: Person, *, now: datetime) -> int:
        with transaction.atomic():
            rows = list(Coupon.objects.filter(profile__in=person.ids).select_for_update(no_key=True))
            for row in rows:
                state = Coupon.State.VOID if row.state == Coupon.State.ASSIGNED else row.state
                key = f"erased:{row.pk}"
                Coupon.objects.filter(pk=row.pk).update(
                    profile=None, origin=None, order_ref="", claim_key=key, state=state
                )
        return len(rows)


@erase.handlers.register("groups")
class LeaveGroups(erase.EraseHandler):
    """Memberships go without a fact of leaving, and the sizes shown count who is left."""

    keeps = (Membership, ListMember)

    def settle(self, person: Person, *, now: datetime) -> int:
        with transaction.atomic():
            return _leave(Membership, "segment", Segment, person) + _leave(ListMember, "list", StaticList, person)


def _leave(members: type[Any], group: str, groups: type[Any], person: Person) -> int:
    rows = members._base_manager.filter(profile__in=person.ids)
    left = set(rows.values_list(f"{group}_id", flat=True))
    gone: int = rows.delete()[0]
    for pk in sorted(left):
        groups.objects.filter(pk=pk).update(size=members.objects.filter(**{group: pk}).count())
    return gone
