"""What operators and people decide about how often: rules, wishes, a second step of consent, and who is slowed down."""

from __future__ import annotations


import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0007_pacing"),
        ("segments", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BestHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=20, verbose_name="channel")),
                ("hour", models.PositiveSmallIntegerField(verbose_name="hour")),
                ("events", models.PositiveIntegerField(default=0, verbose_name="own events")),
                ("computed_at", models.DateTimeField(verbose_name="computed")),
            ],
            options={
                "verbose_name": "best hour",
                "verbose_name_plural": "best hours",
            },
        ),
        migrations.CreateModel(
            name="Preference",
            fields=[
                (
                    "profile",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="preference",
                        serialize=False,
                        to="segments.profile",
                    ),
                ),
                (
                    "at_most",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="messages; empty is off, 0 is none", null=True, verbose_name="at most"
                    ),
                ),
                (
                    "period",
                    models.CharField(
                        choices=[("day", "calendar day"), ("week", "calendar week"), ("month", "calendar month")],
                        default="week",
                        max_length=5,
                        verbose_name="within",
                    ),
                ),
                ("replaces", models.BooleanField(default=False, verbose_name="instead of the usual limits")),
                ("paused_until", models.DateTimeField(blank=True, null=True, verbose_name="wants a break until")),
                ("updated_at", models.DateTimeField(verbose_name="updated")),
                ("source", models.CharField(blank=True, max_length=80, verbose_name="source")),
            ],
            options={
                "verbose_name": "preference",
                "verbose_name_plural": "preferences",
            },
        ),
        migrations.CreateModel(
            name="SendingRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("limit", "limit"),
                            ("quiet", "quiet hours"),
                            ("repeat", "no repeats"),
                            ("sunset", "sunset"),
                            ("best", "best hour"),
                        ],
                        max_length=7,
                        verbose_name="kind",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                ("channel", models.CharField(default="all", max_length=20, verbose_name="channel")),
                (
                    "klass",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "marketing (over all channels: lifecycle too)"),
                            ("marketing", "marketing alone"),
                            ("lifecycle", "lifecycle alone"),
                        ],
                        max_length=13,
                        verbose_name="class",
                    ),
                ),
                (
                    "tag",
                    models.CharField(
                        blank=True, help_text="its key; empty for all", max_length=80, verbose_name="topic or campaign"
                    ),
                ),
                (
                    "at_most",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="messages; empty is off, 0 is none", null=True, verbose_name="at most"
                    ),
                ),
                (
                    "period",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("day", "calendar day"),
                            ("week", "calendar week"),
                            ("month", "calendar month"),
                            ("rolling", "rolling hours"),
                            ("gap", "hours since the last one"),
                        ],
                        max_length=7,
                        verbose_name="within",
                    ),
                ),
                ("hours", models.PositiveSmallIntegerField(blank=True, default=0, verbose_name="hours")),
                (
                    "over",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "as the installation says"),
                            ("hold", "wait until there is room"),
                            ("skip", "skip the message"),
                            ("exit", "skip it, and leave the journey"),
                        ],
                        max_length=4,
                        verbose_name="above it",
                    ),
                ),
                (
                    "hold_hours",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="then it expires; empty: its own expiry alone",
                        null=True,
                        verbose_name="wait at most (hours)",
                    ),
                ),
                ("starts", models.TimeField(blank=True, null=True, verbose_name="from")),
                ("ends", models.TimeField(blank=True, null=True, verbose_name="until")),
                (
                    "days",
                    models.CharField(
                        choices=[
                            ("every", "every day"),
                            ("no_holidays", "not on public holidays"),
                            ("working", "working days only"),
                        ],
                        default="every",
                        max_length=11,
                        verbose_name="days",
                    ),
                ),
                (
                    "country",
                    models.CharField(
                        blank=True,
                        help_text="CN, US …; empty: the recipient's own country",
                        max_length=2,
                        verbose_name="whose holidays",
                    ),
                ),
                ("count", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="ignored messages")),
                ("after_days", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="days")),
                (
                    "slow_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="empty: no slowing down",
                        null=True,
                        verbose_name="then one message in (days)",
                    ),
                ),
                (
                    "stop_count",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="empty: never stop", null=True, verbose_name="stop after ignored messages"
                    ),
                ),
                (
                    "fallback",
                    models.TimeField(
                        blank=True,
                        help_text="empty: at once",
                        null=True,
                        verbose_name="hour of those who are not known",
                    ),
                ),
                ("control", models.PositiveSmallIntegerField(default=10, verbose_name="compared group (%)")),
            ],
            options={
                "verbose_name": "sending rule",
                "verbose_name_plural": "sending rules",
            },
        ),
        migrations.RemoveConstraint(
            model_name="consent",
            name="consent_action",
        ),
        migrations.AddField(
            model_name="address",
            name="slowed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="slowed down"),
        ),
        migrations.AddField(
            model_name="consent",
            name="purpose",
            field=models.CharField(blank=True, max_length=13, verbose_name="purpose"),
        ),
        migrations.AddField(
            model_name="topic",
            name="confirmation",
            field=models.CharField(
                blank=True,
                help_text="key of a transactional template with {{ event.confirm_url }}; empty: no second step",
                max_length=80,
                verbose_name="confirm by",
            ),
        ),
        migrations.AlterField(
            model_name="consent",
            name="action",
            field=models.CharField(
                choices=[("given", "given"), ("withdrawn", "withdrawn"), ("pending", "to be confirmed")],
                max_length=9,
                verbose_name="action",
            ),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(condition=models.Q(("action", "pending")), fields=["at"], name="consent_pending"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("reason__startswith", "leaves:"), ("state", "skipped")),
                fields=["settled_at"],
                name="delivery_leaves",
            ),
        ),
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.CheckConstraint(
                condition=models.Q(("action__in", ["given", "withdrawn", "pending"])), name="consent_action"
            ),
        ),
        migrations.AddField(
            model_name="besthour",
            name="profile",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="best_hours",
                to="segments.profile",
            ),
        ),
        migrations.AddIndex(
            model_name="preference",
            index=models.Index(
                condition=models.Q(("at_most__isnull", False)), fields=["period"], name="preference_limits"
            ),
        ),
        migrations.AddConstraint(
            model_name="preference",
            constraint=models.CheckConstraint(
                condition=models.Q(("period__in", ["day", "week", "month"])), name="preference_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="sendingrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["limit", "quiet", "repeat", "sunset", "best"])),
                name="sending_rule_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="sendingrule",
            constraint=models.UniqueConstraint(
                fields=("kind", "channel", "klass", "tag", "period", "hours"),
                name="sending_rule_once",
                violation_error_message="There is a rule for this already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="besthour",
            constraint=models.UniqueConstraint(fields=("profile", "channel"), name="best_hour_once"),
        ),
        migrations.AddConstraint(
            model_name="besthour",
            constraint=models.CheckConstraint(condition=models.Q(("hour__lt", 24)), name="best_hour_range"),
        ),
    ]
