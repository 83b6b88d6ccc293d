"""Begin the history of rows that migrations made, so that the first change says what it changed."""

from django.db import migrations
from django.utils import timezone


def begin(apps, schema_editor):
    """Write a first row of history for what has none."""
    for name in ("Bandit", "Arm"):
        model = apps.get_model("bandits", name)
        past = apps.get_model("bandits", f"Historical{name}")
        kept = [
            field.attname
            for field in past._meta.concrete_fields
            if not field.name.startswith("history_")
        ]
        past.objects.bulk_create(
            past(
                history_date=timezone.now(),
                history_type="+",
                **{field: getattr(row, field) for field in kept},
            )
            for row in model.objects.exclude(pk__in=past.objects.values("id"))
        )


class Migration(migrations.Migration):
    dependencies = [("bandits", "0004_exploration_default")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
