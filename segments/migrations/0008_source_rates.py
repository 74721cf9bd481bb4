# A rate for each source, and how far a large merge has come.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0007_points_coming"),
    ]

    operations = [
        migrations.AddField(
            model_name="source",
            name="calls_a_minute",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="More are answered with 429, and senders try again. Empty: no limit; 0: none is taken.",
                null=True,
                verbose_name="calls a minute",
            ),
        ),
        migrations.AddField(
            model_name="source",
            name="filled_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="merge",
            name="rows_moved",
            field=models.BigIntegerField(db_default=0, default=0, verbose_name="rows gone ahead"),
        ),
        migrations.AddField(
            model_name="merge",
            name="moved_at",
            field=models.DateTimeField(null=True, verbose_name="last moved"),
        ),
    ]
