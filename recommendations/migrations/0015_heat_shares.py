"""What each listener adds to a track's heat, and how much of an hour the trend has met."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_answered_requests"),
        ("recommendations", "0014_one_index_each"),
    ]

    operations = [
        migrations.CreateModel(
            name="HeatAllowance",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "listener_id",
                        "hour",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "listener",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="accounts.listener",
                    ),
                ),
                ("hour", models.DateTimeField(help_text="its beginning")),
                ("n", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="HeatShare",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "listener_id",
                        "track_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "listener",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="accounts.listener",
                    ),
                ),
                (
                    "track",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="recommendations.track",
                    ),
                ),
                (
                    "feedback",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="recommendations.feedback",
                    ),
                ),
                ("preference", models.FloatField()),
                ("occurred_at", models.DateTimeField()),
            ],
        ),
    ]
