"""What a template's draft said at each save."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0009_feeds_and_copy"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TemplateSave",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("revision", models.PositiveIntegerField(verbose_name="save")),
                ("draft", models.JSONField(verbose_name="draft")),
                ("saved_at", models.DateTimeField(verbose_name="saved")),
                ("came_by", models.CharField(blank=True, max_length=40)),
                (
                    "saved_by",
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
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saves",
                        to="messaging.template",
                    ),
                ),
            ],
            options={
                "verbose_name": "saved draft",
                "verbose_name_plural": "saved drafts",
                "ordering": ["template", "-revision"],
                "constraints": [models.UniqueConstraint(fields=("template", "revision"), name="template_save_once")],
            },
        ),
    ]
