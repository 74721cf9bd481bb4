"""Rows that a merge moves remember whose they were."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0002_storage"),
    ]

    operations = [
        migrations.AddField(
            model_name="address",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="consent",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="origin",
            field=models.BigIntegerField(editable=False, null=True),
        ),
    ]
