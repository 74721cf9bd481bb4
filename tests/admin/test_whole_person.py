"""One whole person in the admin: what is confirmed happens, what is not does not, and it is audited."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from django.urls import reverse

from common import clock
from common.models import ApiKey, AuditEntry
from segments.merge import merge
from segments.models import Event, Merge, Profile, RejectedRow, Source
from segments.unmerge import undo
from tests.admin.test_verbs import audited, post, said
from tests.people import make_fact, make_profile


def test_an_export_is_a_file_and_an_entry(shop: Any, login: Any) -> None:
    mei = Profile.objects.filter(email__startswith="mei")[0]
    client = login("admin")
    where = reverse("admin:segments_profile_export", args=[mei.pk])
    answer = client.post(where, {"form": "json"})
    assert answer["Content-Disposition"] == f'attachment; filename="person-{mei.public_id}.json"'
    assert json.loads(b"".join(answer.streaming_content))["segments.profile"][0]["email"] == mei.email
    packed = b"".join(client.post(where, {"form": "zip"}).streaming_content)
    assert "segments.profile.jsonl" in zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert audited("person.export").actor_name == "admin"


def test_an_erasure_says_what_goes_and_wants_the_public_id(shop: Any, login: Any) -> None:
    bo = make_profile(user_id="to-be-erased", email="gone@example.com")
    make_fact(bo, "Viewed")
    client, where = login("admin"), reverse("admin:segments_profile_erase", args=[bo.pk])
    page = client.get(where)
    assert str(bo.public_id) in page.content.decode()
    assert "Facts" in page.content.decode()
    client.post(where, {"sure": "yes"})
    bo.refresh_from_db()
    assert bo.erased_at is None
    assert "The person is erased." in said(client.post(where, {"sure": str(bo.public_id)}, follow=True))
    bo.refresh_from_db()
    assert (bo.erased_at is not None, bo.email) == (True, "")
    assert not Event.objects.filter(profile=bo, name="Viewed").exists()
    assert audited("person.erase").actor_name == "admin"


def test_a_merge_by_hand_and_its_undo(shop: Any, login: Any) -> None:
    one, other = make_profile(user_id="one"), make_profile(user_id="other")
    client, where = login("admin"), reverse("admin:segments_profile_merge", args=[one.pk])
    unknown = client.post(where, {"into": "nobody at all", "reason": "x"})
    assert "Nobody is known under this name." in said(unknown)
    twice = client.post(where, {"into": "other", "reason": "x"})
    assert "two known people are joined only on purpose" in said(twice)
    itself = client.post(where, {"into": "one", "reason": "x"})
    assert "Both must be alive and different." in said(itself)
    assert not Merge.objects.filter(gone=one).exists()
    done = client.post(where, {"into": "other", "reason": "she married", "force": "on"}, follow=True)
    assert "The two profiles are one person now." in said(done)
    row = Merge.objects.get(gone=one)
    assert (row.into, row.actor_name, row.reason) == (other, "admin", "she married")
    assert "Say why." in said(post(client, "segments_merge_undo", row.pk))
    assert "They are two people again." in said(post(client, "segments_merge_undo", row.pk, reason="no"))
    assert "That was undone already." in said(post(client, "segments_merge_undo", row.pk, reason="no"))
    one.refresh_from_db()
    assert one.merged_into is None
    assert audited("person.unmerge").reason == "no"


def test_an_undo_says_what_came_by_way_of_others_too(shop: Any, login: Any) -> None:
    first, second, third = (make_profile(anonymous_id=f"chain-{n}") for n in range(3))
    for person in (first, second):
        make_fact(person, "Viewed")
    for gone, into in ((first, second), (second, third)):
        merge(gone, into, now=clock.now(), actor="root", reason="")
    page = login("admin").get(reverse("admin:segments_merge_undo", args=[Merge.objects.get(gone=second).pk]))
    told = dict(page.context["rows"])
    assert (told["facts"], told["identities"]) == (3, 2)  # with the fact of the first merge
    second.refresh_from_db()
    undo(second, now=clock.now(), actor="root", reason="")
    assert Event.objects.filter(profile=second).exclude(properties__has_key="undone").count() == 3


def test_a_sources_keys_are_rotated_and_revoked_on_its_page(shop: Any, login: Any) -> None:
    web = Source.objects.get(key="web")
    before = ApiKey.objects.filter(subject="source:web").count()
    client = login("admin")
    page = client.post(reverse("admin:segments_source_rotate", args=[web.pk]), {"hours": "2"})
    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    shown = client.get(reverse("admin:segments_source_change", args=[web.pk])).content.decode()
    assert secret not in shown
    assert secret[:11] in shown
    key = ApiKey.objects.get(prefix=secret[:11])
    assert ApiKey.objects.filter(subject="source:web").count() == before + 1
    asked = client.get(reverse("admin:segments_source_revoke", args=[web.pk]), {"key": key.pk}).content.decode()
    assert f'<option value="{key.pk}" selected>{key.prefix}…, last used: –</option>' in " ".join(asked.split())
    unsaid = client.post(reverse("admin:segments_source_revoke", args=[web.pk]), {"key": key.pk})
    assert unsaid.context["form"].errors == {"reason": ["This field is required."]}
    key.refresh_from_db()
    assert key.revoked_at is None
    told = said(post(client, "segments_source_revoke", web.pk, key=key.pk, reason="leaked"))
    assert f"The key {key.prefix}… is revoked." in told
    key.refresh_from_db()
    assert key.revoked_at is not None
    entry = AuditEntry.objects.get(action="key.revoke", subject=f"key:{key.prefix}")
    assert (entry.reason, entry.actor_name, entry.detail["subject"]) == ("leaked", "admin", "source:web")
    again = client.post(reverse("admin:segments_source_revoke", args=[web.pk]), {"key": key.pk, "reason": "x"})
    assert list(again.context["form"].errors) == ["key"]
    for role in ("viewer", "author"):
        assert (
            "Write keys" not in login(role).get(reverse("admin:segments_source_change", args=[web.pk])).content.decode()
        )


def test_refused_rows_are_replayed_one_by_one_and_many_at_once(shop: Any, login: Any) -> None:
    web = Source.objects.get(key="web")

    def refused(n: int) -> RejectedRow:
        text = json.dumps({"type": "track", "event": "Viewed", "userId": "u-1000", "messageId": f"again-{n}"})
        return RejectedRow.objects.create(source=web, received_at=shop, code="x", reason="x", payload=text)

    one, two, three = refused(1), refused(2), refused(3)
    client = login("admin")
    assert "Replayed. stored: 1" in said(post(client, "segments_rejectedrow_replay", one.pk, live="yes"))
    assert Event.objects.get(key="again-1").live
    chosen = {"action": "replay_many", "_selected_action": [one.pk, two.pk, three.pk]}
    answer = client.post(reverse("admin:segments_rejectedrow_changelist"), chosen, follow=True)
    assert "replayed before: 1, stored: 2" in said(answer)
    assert not Event.objects.filter(key__in=["again-2", "again-3"], live=True).exists()
    assert audited("rejected.replay").detail == {"stored": 2, "gone": 1}
    count = AuditEntry.objects.filter(action="rejected.replay").count()
    login("viewer").post(reverse("admin:segments_rejectedrow_changelist"), chosen)
    assert AuditEntry.objects.filter(action="rejected.replay").count() == count
