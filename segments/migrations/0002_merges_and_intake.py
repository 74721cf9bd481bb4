"""Merges with their way back, replayed rows, properties of events, and places in a host's own models."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ModelSync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(max_length=80, unique=True, verbose_name="key")),
                ("digest", models.CharField(max_length=64)),
                ("watermark", models.CharField(blank=True, max_length=64)),
                ("last_pk", models.CharField(blank=True, max_length=64)),
                ("rows_done", models.BigIntegerField(default=0, verbose_name="done")),
                ("rows_stored", models.BigIntegerField(default=0, verbose_name="stored")),
                ("rows_known", models.BigIntegerField(default=0, verbose_name="already known")),
                ("rows_rejected", models.BigIntegerField(default=0, verbose_name="rejected")),
                ("moved_at", models.DateTimeField(null=True, verbose_name="moved")),
            ],
            options={
                "verbose_name": "model sync",
                "verbose_name_plural": "model syncs",
            },
        ),
        migrations.AddField(
            model_name="award",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="coupon",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="missionprogress",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="pointentry",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="rejectedrow",
            name="replayed_as",
            field=models.CharField(blank=True, db_default="", max_length=40, verbose_name="result of the replay"),
        ),
        migrations.AddField(
            model_name="rejectedrow",
            name="replayed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="replayed"),
        ),
        migrations.CreateModel(
            name="EventProperty",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event", models.CharField(max_length=200, verbose_name="event")),
                ("key", models.CharField(blank=True, max_length=64, verbose_name="property")),
                ("type", models.CharField(blank=True, max_length=8, verbose_name="type")),
                ("first_seen_at", models.DateTimeField(verbose_name="first seen")),
                ("last_seen_at", models.DateTimeField(verbose_name="last seen")),
            ],
            options={
                "verbose_name": "event property",
                "verbose_name_plural": "event properties",
                "constraints": [models.UniqueConstraint(fields=("event", "key", "type"), name="event_property_once")],
            },
        ),
        migrations.CreateModel(
            name="Merge",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(verbose_name="time")),
                ("actor_name", models.CharField(max_length=150, verbose_name="acted as")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("kept", models.JSONField(default=dict, editable=False)),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
                ("undone_at", models.DateTimeField(null=True, verbose_name="undone")),
                ("undone_by", models.CharField(blank=True, max_length=150, verbose_name="undone by")),
                (
                    "gone",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="merges",
                        to="segments.profile",
                        verbose_name="merged profile",
                    ),
                ),
                (
                    "into",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="merged",
                        to="segments.profile",
                        verbose_name="into",
                    ),
                ),
            ],
            options={
                "verbose_name": "merge",
                "verbose_name_plural": "merges",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("undone_at__isnull", True)), fields=("gone",), name="merge_open_once"
                    )
                ],
            },
        ),
    ]
