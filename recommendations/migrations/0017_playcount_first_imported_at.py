"""When a pair of listener and track was first imported, however often its total changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0016_training_run_shared")]

    operations = [
        migrations.AddField(
            model_name="playcount",
            name="first_imported_at",
            field=models.DateTimeField(
                help_text="when the pair's first total came, where this one replaced another",
                null=True,
            ),
        ),
    ]
