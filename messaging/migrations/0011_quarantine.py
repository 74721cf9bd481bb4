"""Words of a source that are set aside until a person decides about them."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0010_template_saves"),
    ]

    operations = [
        migrations.AddField(
            model_name="receipt",
            name="held",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="Quarantine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.CharField(max_length=40, verbose_name="source")),
                ("kind", models.CharField(max_length=12, verbose_name="kind")),
                ("words", models.PositiveIntegerField(verbose_name="words in a day")),
                ("messages", models.PositiveIntegerField(verbose_name="messages in three days")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "waits for a decision"),
                            ("releasing", "being applied"),
                            ("dropping", "being dropped"),
                            ("released", "applied"),
                            ("dropped", "dropped"),
                        ],
                        default="open",
                        max_length=9,
                        verbose_name="state",
                    ),
                ),
                ("opened_at", models.DateTimeField(verbose_name="since")),
                ("decided_at", models.DateTimeField(null=True, verbose_name="decided")),
                ("decided_by", models.CharField(blank=True, max_length=150, verbose_name="decided by")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("done_at", models.DateTimeField(null=True, verbose_name="done")),
            ],
            options={
                "verbose_name": "quarantine",
                "verbose_name_plural": "quarantines",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")), fields=("provider",), name="quarantine_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "releasing", "dropping", "released", "dropped"])),
                        name="quarantine_state",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="receipt",
            name="quarantine",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="receipts",
                to="messaging.quarantine",
            ),
        ),
        migrations.AddIndex(
            model_name="receipt",
            index=models.Index(
                condition=models.Q(("held", False), ("matched_at__isnull", True)),
                fields=["received_at"],
                name="receipt_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="receipt",
            index=models.Index(condition=models.Q(("held", True)), fields=["quarantine", "id"], name="receipt_held"),
        ),
        migrations.AddIndex(
            model_name="receipt",
            index=models.Index(
                condition=models.Q(("kind__in", ["soft", "hard", "complained", "unsubscribed"])),
                fields=["provider", "kind", "received_at"],
                name="receipt_harm",
            ),
        ),
    ]
