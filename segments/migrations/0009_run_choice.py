# Why a refresh took the pass that it took.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0008_source_rates"),
    ]

    operations = [
        migrations.AddField(
            model_name="segmentrun",
            name="estimated",
            field=models.PositiveIntegerField(null=True, verbose_name="estimated"),
        ),
        migrations.AddField(
            model_name="segmentrun",
            name="threshold",
            field=models.PositiveIntegerField(null=True, verbose_name="threshold"),
        ),
        migrations.AddField(
            model_name="segmentrun",
            name="why",
            field=models.CharField(
                blank=True,
                choices=[
                    ("few", "few may have changed"),
                    ("many", "many may have changed"),
                    ("backlog", "many new facts"),
                    ("moves", "many change sides"),
                    ("day", "a new day began"),
                    ("rule", "built anew"),
                ],
                db_default="",
                default="",
                max_length=7,
                verbose_name="why this pass",
            ),
        ),
        migrations.AddConstraint(
            model_name="segmentrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("why__in", ["", "few", "many", "backlog", "moves", "day", "rule"])),
                name="segment_run_why",
            ),
        ),
    ]
