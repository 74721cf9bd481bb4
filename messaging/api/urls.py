"""Addresses of the operator API that speak of messages."""

from __future__ import annotations

from django.urls import path

from messaging.api.deliveries import Deliveries, OneDelivery
from messaging.api.inbox import Archive, Inbox, InboxToken, MarkRead, Restore
from messaging.api.messages import Messages

urlpatterns = [
    path("api/deliveries", Deliveries.as_view(), name="api-deliveries"),
    path("api/deliveries/<uuid:public_id>", OneDelivery.as_view(), name="api-delivery"),
    path("api/messages", Messages.as_view(), name="api-messages"),
    path("api/inbox", Inbox.as_view(), name="api-inbox"),
    path("api/inbox/token", InboxToken.as_view(), name="api-inbox-token"),
    path("api/inbox/<uuid:public_id>/read", MarkRead.as_view(), name="api-inbox-read"),
    path("api/inbox/<uuid:public_id>/archive", Archive.as_view(), name="api-inbox-archive"),
    path("api/inbox/<uuid:public_id>/restore", Restore.as_view(), name="api-inbox-restore"),
]
