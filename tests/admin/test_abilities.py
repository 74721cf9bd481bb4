"""The page of an account says what its channel can do, in the operator's language."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import translation

from messaging.admin.abilities import lines
from messaging.channels import channels
from messaging.models import Account
from tests.messages import make_account


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("boss")


def page_of(root: User, account: Account, language: str = "en") -> Any:
    client = Client(headers={"accept-language": language})
    client.force_login(root)
    return client.get(reverse("admin:messaging_account_change", args=[account.pk]))


def shown(root: User, account: Account, language: str = "en") -> dict[str, str]:
    page = page_of(root, account, language)
    found = BeautifulSoup(page.content, "html.parser").select_one("dl:has(dt)")
    assert found is not None
    names, values = ([one.get_text() for one in found.select(tag)] for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def test_an_account_says_what_its_channel_can_do(root: User) -> None:
    robot = make_account("robot", channel="dingtalk", transport="http", sender="")
    assert shown(root, robot) == {
        "formatted text (HTML)": "no",
        "opens can be seen": "no",
        "UTM medium of its links": "social",
        "the longest message": "text: 20000 bytes; markdown: 20000 bytes",
        "several messages in one call": "no",
        "rate that the provider allows": "20 a minute: enter it as the rate",
        "whom it reaches": "one place for all, or the person's account",
    }


def test_it_depends_on_the_transport_and_the_language(root: User) -> None:
    mail = make_account("mail", transport="anymail")
    assert shown(root, mail)["several messages in one call"] == "yes"
    said = shown(root, mail, "zh-hans")
    assert (said["一次调用发送多条"], said["触达谁"], said["可看到打开"]) == ("是", "地址取自：email", "是")
    mail.transport, mail.channel = "smtp", "gone"
    mail.save()
    assert page_of(root, mail).status_code == 200, "a channel that is no longer there breaks no page"


@pytest.mark.parametrize("key", channels.keys())
def test_every_channel_has_words(key: str) -> None:
    with translation.override("zh-hans"):
        for name, value in lines(channels.get(key), ""):
            assert not name.isascii()
            assert value
