# Missions have measures, and what a level brings becomes rows.

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


def rows_of_privileges(apps, schema_editor):
    """Each text of a level's list becomes a row, once; there are few levels."""
    Level, Privilege = apps.get_model("segments", "Level"), apps.get_model("segments", "Privilege")
    for level in Level.objects.exclude(privileges=[]):
        for place, said in enumerate(level.privileges if isinstance(level.privileges, list) else []):
            Privilege.objects.get_or_create(
                level=level, key=f"{level.key[:70]}-{place + 1}", defaults={"name": str(said)[:200], "place": place}
            )


class Migration(migrations.Migration):
    dependencies = [
        ("segments", "0013_member_generations"),
    ]

    operations = [
        migrations.CreateModel(
            name="Privilege",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(max_length=80, verbose_name="key")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("name_zh", models.CharField(blank=True, max_length=200, verbose_name="Chinese name")),
                ("place", models.PositiveSmallIntegerField(default=0, verbose_name="place")),
                ("only", models.BooleanField(default=False, verbose_name="at this level only")),
            ],
            options={
                "verbose_name": "privilege",
                "verbose_name_plural": "privileges",
                "ordering": ["level__rank", "place", "pk"],
            },
        ),
        migrations.AddField(
            model_name="mission",
            name="how",
            field=models.JSONField(blank=True, default=dict, verbose_name="how it is counted"),
        ),
        migrations.AddField(
            model_name="mission",
            name="measure",
            field=models.CharField(default="count", max_length=40, verbose_name="what is counted"),
        ),
        migrations.AddField(
            model_name="mission",
            name="repeats",
            field=models.PositiveSmallIntegerField(
                blank=True,
                default=1,
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
                verbose_name="times in a period",
            ),
        ),
        migrations.AddField(
            model_name="missionprogress",
            name="kept",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="missionprogress",
            name="lapses_at",
            field=models.DateTimeField(null=True, verbose_name="lapses"),
        ),
        migrations.AddField(
            model_name="missionprogress",
            name="times",
            field=models.PositiveIntegerField(default=0, verbose_name="times completed"),
        ),
        migrations.AddField(
            model_name="wallet",
            name="noticed",
            field=models.PositiveSmallIntegerField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="level",
            name="privileges",
            field=models.JSONField(blank=True, default=list, editable=False, verbose_name="privileges"),
        ),
        migrations.AlterField(
            model_name="mission",
            name="target",
            field=models.PositiveIntegerField(
                default=1, validators=[django.core.validators.MinValueValidator(1)], verbose_name="target"
            ),
        ),
        migrations.AddIndex(
            model_name="missionprogress",
            index=models.Index(
                condition=models.Q(("lapses_at__isnull", False)), fields=["lapses_at"], name="mission_progress_lapse"
            ),
        ),
        migrations.AddIndex(
            model_name="wallet",
            index=models.Index(
                condition=models.Q(("level_until__isnull", False)), fields=["level_until"], name="wallet_level_until"
            ),
        ),
        migrations.AddField(
            model_name="privilege",
            name="benefit",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="segments.benefit",
                verbose_name="benefit",
            ),
        ),
        migrations.AddField(
            model_name="privilege",
            name="level",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="brings",
                to="segments.level",
                verbose_name="level",
            ),
        ),
        migrations.AddConstraint(
            model_name="privilege",
            constraint=models.UniqueConstraint(fields=("level", "key"), name="privilege_once"),
        ),
        migrations.RunPython(rows_of_privileges, migrations.RunPython.noop, elidable=True),
    ]
