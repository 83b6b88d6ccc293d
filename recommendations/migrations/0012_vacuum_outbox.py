"""The outbox is vacuumed by what was closed in it, and not only once a fifth of it is dead."""

from django.db import migrations

# A drain walks over the index entries of rows closed since the last vacuum.
SET = """
    ALTER TABLE recommendations_outboxevent
    SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
"""
RESET = """
    ALTER TABLE recommendations_outboxevent
    RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)
"""


class Migration(migrations.Migration):
    dependencies = [("recommendations", "0011_roles_of_services")]

    operations = [migrations.RunSQL(SET, RESET)]
