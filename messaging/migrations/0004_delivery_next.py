"""What goes first is found by index: the class and the priority of a waiting message, then how long it is due."""

from __future__ import annotations

from django.db import migrations, models

FIRST = {"transactional": 200, "lifecycle": 100}
BATCH = 5000


def rank(apps, schema_editor):
    """Give waiting messages the priority of their class; those that have it are passed over."""
    rows = apps.get_model("messaging", "Delivery").objects.filter(state__in=["planned", "held"], priority__lt=50)
    for klass, priority in FIRST.items():
        while ids := list(rows.filter(klass=klass).values_list("pk", flat=True)[:BATCH]):
            rows.filter(pk__in=ids).update(priority=priority)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_origins")]
    operations = [
        migrations.RunPython(rank, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name="delivery", name="delivery_due"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "planned")),
                fields=["channel", "priority", "not_before", "id"],
                name="delivery_next",
            ),
        ),
    ]
