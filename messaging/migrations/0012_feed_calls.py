"""Which shared address of a feed a worker is asking right now."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0011_quarantine"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64, verbose_name="hash of the address")),
                ("token", models.CharField(max_length=32)),
                ("until", models.DateTimeField(verbose_name="until")),
                (
                    "feed",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="messaging.feed",
                    ),
                ),
            ],
            options={
                "verbose_name": "call of a feed",
                "verbose_name_plural": "calls of feeds",
                "constraints": [models.UniqueConstraint(fields=("feed", "digest"), name="feed_call_once")],
            },
        ),
    ]
