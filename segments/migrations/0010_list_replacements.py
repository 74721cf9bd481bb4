# Which replacement of a list named each of its people.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0009_run_choice"),
    ]

    operations = [
        migrations.AddField(
            model_name="listmember",
            name="named_by",
            field=models.BigIntegerField(editable=False, null=True),
        ),
    ]
