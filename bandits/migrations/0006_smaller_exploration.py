"""A smaller default exploration; a bandit that stands at the old one follows, with history."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.utils import timezone

OLD, NEW = 0.2, 0.1


def follow(apps, schema_editor):
    """Move bandits from the old default to the new one; one that has decided says so."""
    bandits = apps.get_model("bandits", "Bandit")
    decisions = apps.get_model("bandits", "Decision")
    past = apps.get_model("bandits", "HistoricalBandit")
    for bandit in bandits.objects.filter(exploration=OLD):
        bandit.exploration = NEW
        if decisions.objects.filter(bandit=bandit).exists():
            bandit.version += 1
            kept = [field.attname for field in bandit._meta.concrete_fields]
            past.objects.create(
                history_date=timezone.now(),
                history_type="~",
                history_change_reason="new default",
                **{name: getattr(bandit, name) for name in kept},
            )
        else:
            past.objects.filter(id=bandit.pk).update(exploration=NEW)
        bandit.save(update_fields=["exploration", "version"])


def field():
    """Return the setting as it is from here on."""
    return models.FloatField(
        default=NEW,
        validators=[MinValueValidator(0.01), MaxValueValidator(10)],
        help_text="factor on the posterior's standard deviations; 1 is Thompson's rule, "
        "less is greedier",
    )


class Migration(migrations.Migration):
    dependencies = [("bandits", "0005_history_of_what_migrations_made")]

    operations = [
        migrations.AlterField("bandit", "exploration", field()),
        migrations.AlterField("historicalbandit", "exploration", field()),
        migrations.RunPython(follow, migrations.RunPython.noop),
    ]
