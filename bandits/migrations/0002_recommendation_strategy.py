"""The default bandit: which strategy recommends."""

from django.db import migrations
from django.utils import timezone

KEY = "recommendation_strategy"
ARMS = ["neural_cf", "content_based", "hybrid_ensemble", "trending", "discovery"]
# 21 x 21 sums of products, 21 sums of rewards and 3 scalars, all nought, as float64.
NO_SUMS = bytes(8 * (21 * 21 + 21 + 3))


def create(apps, schema_editor):
    now = timezone.now()
    bandit = apps.get_model("bandits", "Bandit").objects.create(key=KEY, created_at=now)
    for position, key in enumerate(ARMS):
        arm = apps.get_model("bandits", "Arm").objects.create(
            bandit=bandit, key=key, position=position, created_at=now
        )
        apps.get_model("bandits", "Learned").objects.create(
            arm=arm,
            sums=NO_SUMS,
            reference=now.timestamp(),
            half_life=bandit.half_life.total_seconds(),
        )


def remove(apps, schema_editor):
    apps.get_model("bandits", "Decision").objects.filter(bandit__key=KEY).delete()
    apps.get_model("bandits", "Bandit").objects.filter(key=KEY).delete()


class Migration(migrations.Migration):
    dependencies = [("bandits", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
