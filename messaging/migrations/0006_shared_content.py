"""Blocks, layouts and banned words; what a version was made from; and which draft was on the screen."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0005_receipt_heard"),
    ]

    operations = [
        migrations.AddField(
            model_name="template",
            name="revision",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name="templateversion",
            name="blocks",
            field=models.JSONField(db_default={}, default=dict, verbose_name="blocks"),
        ),
        migrations.AddField(
            model_name="templateversion",
            name="draft",
            field=models.JSONField(db_default={}, default=dict, verbose_name="draft"),
        ),
        migrations.CreateModel(
            name="BannedWord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("word", models.CharField(max_length=80, verbose_name="word or phrase")),
                (
                    "locale",
                    models.CharField(
                        blank=True,
                        help_text="en, zh-Hans …; empty means every language",
                        max_length=20,
                        validators=[django.core.validators.RegexValidator("^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")],
                        verbose_name="language",
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("error", "must not be published"), ("warning", "asks to confirm")],
                        default="error",
                        max_length=7,
                        verbose_name="severity",
                    ),
                ),
                ("instead", models.CharField(blank=True, max_length=200, verbose_name="write instead")),
            ],
            options={
                "verbose_name": "banned word",
                "verbose_name_plural": "banned words",
                "ordering": ["locale", "word"],
                "constraints": [
                    models.UniqueConstraint(fields=("locale", "word"), name="banned_word_once"),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["error", "warning"])), name="banned_word_severity"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(max_length=80, unique=True, verbose_name="key")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("name_zh", models.CharField(blank=True, max_length=200, verbose_name="Chinese name")),
                (
                    "kind",
                    models.CharField(
                        choices=[("block", "block"), ("layout", "layout")],
                        default="block",
                        max_length=6,
                        verbose_name="kind",
                    ),
                ),
                ("content", models.JSONField(default=dict, verbose_name="content")),
                ("archived", models.BooleanField(default=False, verbose_name="archived")),
                ("revision", models.PositiveIntegerField(default=0, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
            ],
            options={
                "verbose_name": "block",
                "verbose_name_plural": "blocks and layouts",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("kind__in", ["block", "layout"])), name="block_kind")
                ],
            },
        ),
        migrations.AddField(
            model_name="template",
            name="layout",
            field=models.ForeignKey(
                blank=True,
                limit_choices_to={"archived": False, "kind": "layout"},
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="messaging.block",
                verbose_name="layout",
            ),
        ),
    ]
