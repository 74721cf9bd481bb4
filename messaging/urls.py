"""The public addresses of the message app: short, since they stand in every link of every message."""

from __future__ import annotations

from django.urls import path

from messaging.views import clicks, inbox, leaving, receipts, showing

app_name = "messaging"
urlpatterns = [
    path("c/<str:token>", clicks.click, name="click"),
    path("o/<str:token>.gif", clicks.opened, name="open"),
    path("u/<str:token>", leaving.unsubscribe, name="unsubscribe"),
    path("p/<str:token>", leaving.preferences, name="preferences"),
    path("v/<str:token>", showing.view, name="view"),
    path("inbox/messages", inbox.messages, name="inbox"),
    path("inbox/messages/<uuid:public_id>/read", inbox.read, name="inbox-read"),
    path("receipts/<slug:account>", receipts.receive, name="receipts"),
]
