"""The public addresses of the message app: short, since they stand in every link of every message."""

from __future__ import annotations

from django.urls import path

from messaging.views import choosing, clicks, confirming, devices, inbox, leaving, receipts, showing

app_name = "messaging"
urlpatterns = [
    path("c/<str:token>", clicks.click, name="click"),
    path("o/<str:token>.gif", clicks.opened, name="open"),
    path("u/<str:token>", leaving.unsubscribe, name="unsubscribe"),
    path("p/<str:token>", choosing.preferences, name="preferences"),
    path("y/<str:token>", confirming.confirm, name="confirm"),
    path("v/<str:token>", showing.view, name="view"),
    path("inbox/messages", inbox.messages, name="inbox"),
    path("inbox/unread", inbox.count, name="inbox-unread"),
    path("inbox/read", inbox.read_all, name="inbox-read-all"),
    path("inbox/messages/<uuid:public_id>/read", inbox.act, {"verb": "read"}, name="inbox-read"),
    path("inbox/messages/<uuid:public_id>/archive", inbox.act, {"verb": "archive"}, name="inbox-archive"),
    path("inbox/messages/<uuid:public_id>/restore", inbox.act, {"verb": "restore"}, name="inbox-restore"),
    path("inbox/devices", devices.mine, name="devices"),
    path("inbox/push-key", devices.key, name="push-key"),
    path("inbox/page/<str:token>", inbox.listed, name="inbox-page"),
    path("receipts/<slug:account>", receipts.receive, name="receipts"),
]
