"""What it takes to withdraw events: times of keys, and how many events gave a value."""

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# The flag of a return is counted like a distinct value from now on. How many events raised it was
# not kept: `manage.py experiment recompute` brings that in, and all that depends on it is the
# withdrawal of an event from before.
RETURNS = """
INSERT INTO experiments_seenvalue (exposure_id, metric_id, value, n)
SELECT t.exposure_id, t.metric_id, 'yes', 1
FROM experiments_listenertotal t JOIN experiments_metric m ON m.id = t.metric_id
WHERE m.numerator = 'returned' AND t.numerator > 0
"""


class Migration(migrations.Migration):

    dependencies = [
        ("experiments", "0004_roll_up_step_kind"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyHorizon",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="appliedevent",
            name="accepted_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, help_text="of the event, or of its retraction"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="appliedevent",
            name="is_retracted",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="seenvalue",
            name="n",
            field=models.PositiveIntegerField(default=1, help_text="events that gave it"),
        ),
        migrations.AddIndex(
            model_name="appliedevent",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["accepted_at"], name="experiments_accepte_a44ade_brin"
            ),
        ),
        migrations.RunSQL(RETURNS, migrations.RunSQL.noop),
    ]
