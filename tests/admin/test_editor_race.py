"""Many who press Save at the same moment: one draft is saved, the others are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from messaging.models import Template
from tests.admin.seed import make_users
from tests.messages import make_topic
from tests.messaging.mails import HTML


@pytest.mark.django_db(transaction=True)
def test_of_many_saves_at_once_one_wins_and_nobody_overwrites() -> None:
    make_users()
    root, topic = User.objects.get(username="root"), make_topic()
    content = {"en": {"subject": "Hello", "html": HTML}}
    row = Template.objects.create(key="mine", name="Mine", topic=topic, content=content)
    where, barrier = reverse("admin:messaging_template_change", args=[row.pk]), Barrier(4)

    def save(number: int) -> int:
        client = Client()
        client.force_login(root)
        given = {
            "name": row.name, "channel": "email", "klass": "marketing", "topic": topic.pk, "sample": "{}", "revision": 0,
            "content:en:subject": f"Written by {number}", "content:en:html": HTML,
        }  # fmt: skip
        barrier.wait()
        try:
            return client.post(where, given).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(save, range(4)))
    assert sorted(answers) == [200, 200, 200, 302]
    saved = Template.objects.get(pk=row.pk)
    assert saved.revision == 1
    assert saved.content["en"]["subject"] == f"Written by {answers.index(302)}"
