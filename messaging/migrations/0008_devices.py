"""Devices that take push messages, other ways for a message, and messages of the inbox that were put away."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0007_sending_rules")]
    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=20, verbose_name="channel")),
                ("digest", models.CharField(max_length=64, verbose_name="hash of the token")),
                ("token", models.TextField(verbose_name="token")),
                ("keys", models.JSONField(default=dict, verbose_name="keys")),
                ("label", models.CharField(blank=True, max_length=200, verbose_name="device")),
                ("registered_at", models.DateTimeField(verbose_name="registered")),
                ("seen_at", models.DateTimeField(verbose_name="last seen")),
                ("gone_at", models.DateTimeField(null=True, verbose_name="gone")),
                ("gone_because", models.CharField(blank=True, max_length=60, verbose_name="gone because")),
                (
                    "address",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="devices", to="messaging.address"
                    ),
                ),
            ],
            options={
                "verbose_name": "device",
                "verbose_name_plural": "devices",
                "constraints": [models.UniqueConstraint(fields=("channel", "digest"), name="device_once")],
                "indexes": [
                    models.Index(condition=models.Q(("gone_at__isnull", True)), fields=["address"], name="device_live")
                ],
            },
        ),
        migrations.CreateModel(
            name="Fallback",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=200)),
                ("versions", models.JSONField(default=list, verbose_name="ways to come")),
                ("story", models.JSONField(default=list, verbose_name="ways tried")),
                ("planned_at", models.DateTimeField(verbose_name="planned")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("ended_why", models.CharField(blank=True, max_length=60, verbose_name="ended because")),
                (
                    "delivery",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fallback",
                        to="messaging.delivery",
                        verbose_name="message",
                    ),
                ),
            ],
            options={
                "verbose_name": "fallback",
                "verbose_name_plural": "fallbacks",
                "constraints": [models.UniqueConstraint(fields=("key",), name="fallback_once")],
                "indexes": [
                    models.Index(condition=models.Q(("ended_at__isnull", True)), fields=["id"], name="fallback_open")
                ],
            },
        ),
        migrations.AddField(
            model_name="delivery",
            name="inbox_archived_at",
            field=models.DateTimeField(null=True, verbose_name="put away"),
        ),
    ]
