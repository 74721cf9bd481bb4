"""Lists of people, put together by hand or from a file."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0003_health"),
    ]

    operations = [
        migrations.CreateModel(
            name="StaticList",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(max_length=80, unique=True, verbose_name="key")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("name_zh", models.CharField(blank=True, max_length=200, verbose_name="Chinese name")),
                ("description", models.TextField(blank=True, verbose_name="description")),
                ("size", models.PositiveIntegerField(default=0, verbose_name="people")),
                ("changed_at", models.DateTimeField(blank=True, null=True, verbose_name="changed")),
            ],
            options={
                "verbose_name": "list of people",
                "verbose_name_plural": "lists of people",
            },
        ),
        migrations.CreateModel(
            name="ListMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("added_at", models.DateTimeField(verbose_name="added")),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="list_members", to="segments.profile"
                    ),
                ),
                (
                    "list",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="segments.staticlist",
                    ),
                ),
            ],
            options={
                "verbose_name": "person on a list",
                "verbose_name_plural": "people on lists",
                "constraints": [models.UniqueConstraint(fields=("list", "profile"), name="list_member_once")],
            },
        ),
    ]
