"""Where the peers of a training find what it learns from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0015_heat_shares")]

    operations = [
        migrations.AddField(
            model_name="trainingrun",
            name="shared",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="what peers fetch, and its checksum",
                max_length=200,
            ),
        ),
    ]
