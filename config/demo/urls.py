"""Addresses of the demo's mailbox; mounted only while the demo runs."""

from __future__ import annotations

from django.urls import path

from config.demo import views

urlpatterns = [
    path("", views.inbox, name="mailbox"),
    path("<str:mail_id>/", views.mail, name="mailbox-mail"),
    path("<str:mail_id>/html", views.body, name="mailbox-html"),
]
