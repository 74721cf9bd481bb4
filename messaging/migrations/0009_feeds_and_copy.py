"""Feeds that templates show, and words that a language model proposed."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0008_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("name_zh", models.CharField(blank=True, max_length=200, verbose_name="Chinese name")),
                (
                    "key",
                    models.CharField(
                        help_text="As templates write it: {{ feeds.key }}",
                        max_length=40,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z][a-z0-9_]*\\Z", "Small letters, digits and _, a letter first."
                            )
                        ],
                        verbose_name="key",
                    ),
                ),
                ("url", models.CharField(max_length=2000, verbose_name="address")),
                ("headers", models.JSONField(blank=True, default=dict, verbose_name="headers")),
                (
                    "pick",
                    models.CharField(
                        blank=True,
                        help_text="data.items takes that part of the answer",
                        max_length=200,
                        verbose_name="part to take",
                    ),
                ),
                (
                    "ttl",
                    models.PositiveIntegerField(
                        default=300,
                        validators=[
                            django.core.validators.MinValueValidator(10),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                        verbose_name="fresh for (seconds)",
                    ),
                ),
                (
                    "stale",
                    models.PositiveIntegerField(
                        default=86400,
                        validators=[django.core.validators.MaxValueValidator(2592000)],
                        verbose_name="usable while the server fails (seconds)",
                    ),
                ),
                (
                    "timeout",
                    models.PositiveIntegerField(
                        default=2000,
                        validators=[
                            django.core.validators.MinValueValidator(100),
                            django.core.validators.MaxValueValidator(5000),
                        ],
                        verbose_name="patience (milliseconds)",
                    ),
                ),
                (
                    "fallback",
                    models.JSONField(
                        blank=True,
                        help_text="JSON; empty: the message waits",
                        null=True,
                        verbose_name="instead, when there is no answer",
                    ),
                ),
                (
                    "sample",
                    models.JSONField(
                        blank=True,
                        help_text="Filled by “Ask now”; never sent to anybody",
                        null=True,
                        verbose_name="sample for previews",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                ("failures", models.PositiveIntegerField(default=0, editable=False, verbose_name="failures in a row")),
                ("open_until", models.DateTimeField(editable=False, null=True, verbose_name="left alone until")),
                ("asked_at", models.DateTimeField(editable=False, null=True, verbose_name="last asked")),
                ("answered_at", models.DateTimeField(editable=False, null=True, verbose_name="last answered")),
                ("error", models.CharField(blank=True, editable=False, max_length=200, verbose_name="last error")),
            ],
            options={
                "verbose_name": "feed",
                "verbose_name_plural": "feeds",
            },
        ),
        migrations.CreateModel(
            name="Voice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("locale", models.CharField(max_length=20, unique=True, verbose_name="language")),
                ("text", models.TextField(max_length=4000, verbose_name="voice")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
            ],
            options={
                "verbose_name": "brand voice",
                "verbose_name_plural": "brand voices",
                "ordering": ["locale"],
            },
        ),
        migrations.CreateModel(
            name="CopyRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("locale", models.CharField(max_length=20, verbose_name="language")),
                ("segment", models.CharField(blank=True, max_length=80, verbose_name="segment")),
                ("brief", models.TextField(blank=True, max_length=1000, verbose_name="brief")),
                ("wanted", models.PositiveSmallIntegerField(default=3, verbose_name="variants")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("asking", "being asked"),
                            ("answered", "answered"),
                            ("failed", "failed"),
                        ],
                        default="waiting",
                        max_length=8,
                        verbose_name="state",
                    ),
                ),
                ("asked_at", models.DateTimeField(verbose_name="asked")),
                ("not_before", models.DateTimeField(verbose_name="not before")),
                ("tries", models.PositiveSmallIntegerField(default=0, verbose_name="tries")),
                ("begun_at", models.DateTimeField(null=True, verbose_name="begun")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("model", models.CharField(blank=True, max_length=120, verbose_name="model")),
                ("prompt", models.JSONField(default=list, verbose_name="prompt")),
                ("digest", models.CharField(blank=True, max_length=64, verbose_name="prompt hash")),
                ("answer", models.TextField(blank=True, verbose_name="answer")),
                ("tokens", models.PositiveIntegerField(default=0, verbose_name="tokens")),
                ("error", models.CharField(blank=True, max_length=300, verbose_name="error")),
                (
                    "asked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="copy_requests",
                        to="messaging.template",
                    ),
                ),
            ],
            options={
                "verbose_name": "copy request",
                "verbose_name_plural": "copy requests",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="CopyDraft",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField(verbose_name="variant")),
                ("parts", models.JSONField(verbose_name="words")),
                ("findings", models.JSONField(default=list, verbose_name="findings")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "proposed"),
                            ("approved", "approved"),
                            ("refused", "refused"),
                            ("used", "in the draft"),
                        ],
                        default="proposed",
                        max_length=8,
                        verbose_name="state",
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True, verbose_name="decided")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("used_at", models.DateTimeField(null=True, verbose_name="used")),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "used_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="drafts", to="messaging.copyrequest"
                    ),
                ),
            ],
            options={
                "verbose_name": "copy draft",
                "verbose_name_plural": "copy drafts",
                "ordering": ["-request", "number"],
            },
        ),
        migrations.CreateModel(
            name="FeedValue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64, verbose_name="hash of the address")),
                ("value", models.JSONField(null=True, verbose_name="value")),
                ("fetched_at", models.DateTimeField(verbose_name="fetched")),
                (
                    "feed",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="values",
                        to="messaging.feed",
                    ),
                ),
            ],
            options={
                "verbose_name": "value of a feed",
                "verbose_name_plural": "values of feeds",
            },
        ),
        migrations.AddIndex(
            model_name="copyrequest",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "asking"])), fields=["not_before"], name="copy_request_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="copyrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "asking", "answered", "failed"])),
                name="copy_request_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="copydraft",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["proposed", "approved", "refused", "used"])), name="copy_draft_state"
            ),
        ),
        migrations.AddConstraint(
            model_name="copydraft",
            constraint=models.UniqueConstraint(fields=("request", "number"), name="copy_draft_once"),
        ),
        migrations.AddConstraint(
            model_name="feedvalue",
            constraint=models.UniqueConstraint(fields=("feed", "digest"), name="feed_value_once"),
        ),
    ]
