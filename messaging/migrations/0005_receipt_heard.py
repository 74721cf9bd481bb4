"""A receipt may be what somebody wrote back to us."""

from __future__ import annotations

from django.db import migrations, models

KINDS = [
    ("delivered", "delivered"), ("soft", "soft bounce"), ("hard", "hard bounce"), ("complained", "complained"),
    ("unsubscribed", "unsubscribed"), ("opened", "opened"), ("clicked", "clicked"), ("rejected", "rejected"),
    ("heard", "written back"), ("other", "other"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("messaging", "0004_delivery_next")]
    operations = [
        migrations.AlterField(
            model_name="receipt", name="kind", field=models.CharField(choices=KINDS, max_length=12, verbose_name="kind")
        ),
    ]
