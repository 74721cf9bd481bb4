# Which generation of a segment's members each row counts in, and the sign of life of a pass under way.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0012_coupon_limits_and_order_refs"),
    ]

    operations = [
        migrations.AddField("segment", "generation", models.PositiveIntegerField(default=0, db_default=0)),
        migrations.AddField("segment", "staged", models.PositiveIntegerField(null=True)),
        migrations.AddField(
            "membership", "counts_from", models.PositiveIntegerField(default=0, db_default=0, editable=False)
        ),
        migrations.AddField("membership", "counts_until", models.PositiveIntegerField(null=True, editable=False)),
        migrations.AddField("segmentrun", "seen_at", models.DateTimeField(null=True, verbose_name="last sign of life")),
        migrations.AddField("segmentrun", "generation", models.PositiveIntegerField(null=True)),
        migrations.AddField("segmentrun", "telling", models.JSONField(null=True)),
    ]
