"""Limits of an account by day and warm-up, slowing down and standing in; daily books; campaigns share a claim."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0006_shared_content"),
    ]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True, verbose_name="day")),
                ("made_at", models.DateTimeField(verbose_name="counted")),
                ("planned", models.PositiveIntegerField(verbose_name="planned")),
                ("sent", models.PositiveIntegerField(verbose_name="sent")),
                ("skipped", models.PositiveIntegerField(verbose_name="skipped")),
                ("failed", models.PositiveIntegerField(verbose_name="failed")),
                ("waiting", models.PositiveIntegerField(verbose_name="waiting")),
                ("in_doubt", models.PositiveIntegerField(verbose_name="in doubt")),
                ("findings", models.JSONField(default=list, verbose_name="findings")),
                ("alarms", models.PositiveIntegerField(default=0, verbose_name="alarms")),
            ],
            options={
                "verbose_name": "day's books",
                "verbose_name_plural": "daily books",
            },
        ),
        migrations.RemoveIndex(
            model_name="delivery",
            name="delivery_next",
        ),
        migrations.AddField(
            model_name="account",
            name="daily",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="messages a day, at most"),
        ),
        migrations.AddField(
            model_name="account",
            name="day",
            field=models.DateField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="day_count",
            field=models.PositiveIntegerField(default=0, editable=False, verbose_name="messages today"),
        ),
        migrations.AddField(
            model_name="account",
            name="pace",
            field=models.FloatField(default=1.0, editable=False, verbose_name="pace"),
        ),
        migrations.AddField(
            model_name="account",
            name="ramp",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="messages on the first day, the second …: [50, 100, 200]",
                verbose_name="warm-up",
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="ramp_from",
            field=models.DateField(blank=True, null=True, verbose_name="first day of the warm-up"),
        ),
        migrations.AddField(
            model_name="account",
            name="rests_until",
            field=models.DateTimeField(editable=False, null=True, verbose_name="rests until"),
        ),
        migrations.AddField(
            model_name="account",
            name="rests_why",
            field=models.CharField(blank=True, editable=False, max_length=60, verbose_name="rests because"),
        ),
        migrations.AddField(
            model_name="account",
            name="slowed_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="slowed down"),
        ),
        migrations.AddField(
            model_name="account",
            name="stands_in",
            field=models.BooleanField(
                default=False,
                help_text="takes over while the default account of its channel is held",
                verbose_name="stands in",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "planned")),
                fields=["channel", "priority", "campaign", "not_before", "id"],
                name="delivery_share",
            ),
        ),
    ]
