"""Marketing needs a yes, lifecycle needs no no; both are read from the locked address row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import F, OuterRef, Q, Subquery

from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.models import Consent, Topic

EVERYTHING = "*"


@gates.register("consent")
class ConsentGate(Gate):
    """Skips what the address refused or never agreed to.

    Marketing: the topic must have been agreed to (and the basis not have run out), or be one that people leave
    rather than join. Lifecycle: the topic, and everything, must not have been refused. A message of a channel
    without addresses (the inbox) needs neither: reading it is the person's own act.
    """

    key: ClassVar[str] = "consent"
    order: ClassVar[int] = 60
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        said = Consent.objects.filter(
            Q(topic=OuterRef("topic")) | Q(topic=EVERYTHING), address=OuterRef("address"), action=Consent.Action.GIVEN
        )
        return {
            "consent_given": F("address__consents"),
            "consent_refused": F("address__refusals"),
            "consent_until": Subquery(said.order_by("-at", "-id").values("expires_at")[:1]),
            "consent_opt_in": Subquery(Topic.objects.filter(key=OuterRef("topic")).values("opt_in")[:1]),
        }

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        if row["address_id"] is None:
            return None
        topic = row["topic"]
        given, refused = row["consent_given"] or [], row["consent_refused"] or []
        if topic in refused or (EVERYTHING in refused and topic not in given):
            return Verdict(Ruling.SKIP, f"refused:{topic or EVERYTHING}")
        if row["klass"] != "marketing" or row["consent_opt_in"] is False:
            return None
        if topic not in given and EVERYTHING not in given:
            return Verdict(Ruling.SKIP, f"no_consent:{topic}".rstrip(":"))
        if row["consent_until"] is not None and row["consent_until"] <= now:
            return Verdict(Ruling.SKIP, f"consent_expired:{topic}")
        return None
