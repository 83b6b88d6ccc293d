"""Change the settings' version with every write that assignment must notice.

A trigger, because a signal or a `save()` misses `update()`, `bulk_create()` and `psql`.
"""

from django.db import migrations

TABLES = ["experiment", "variant", "phase"]

FORWARD = """
CREATE FUNCTION experiments_new_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := gen_random_uuid();
    RETURN NEW;
END $$;
CREATE FUNCTION experiments_touch_settings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE experiments_assignmentsettings SET version = gen_random_uuid();
    RETURN NULL;
END $$;
CREATE TRIGGER new_version BEFORE UPDATE ON experiments_assignmentsettings
    FOR EACH ROW EXECUTE FUNCTION experiments_new_version();
""" + "".join(
    f"""
CREATE TRIGGER touch_settings AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
    ON experiments_{table} FOR EACH STATEMENT EXECUTE FUNCTION experiments_touch_settings();
"""
    for table in TABLES
)
BACKWARD = (
    "".join(f"DROP TRIGGER touch_settings ON experiments_{table};\n" for table in TABLES)
    + """
DROP TRIGGER new_version ON experiments_assignmentsettings;
DROP FUNCTION experiments_touch_settings();
DROP FUNCTION experiments_new_version();
"""
)


class Migration(migrations.Migration):
    dependencies = [("experiments", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
