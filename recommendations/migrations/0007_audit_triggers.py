"""The audit log writes itself, and cannot be rewritten."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON recommendations_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
"""
APPEND_ONLY_BACK = """
DROP TRIGGER audit_append_only ON recommendations_auditentry;
DROP FUNCTION audit_refuse_change();
"""

ADMIN = """
CREATE FUNCTION audit_admin_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recommendations_auditentry
        (at, actor, source, act, subject_type, subject, subject_key, words, details)
    SELECT NEW.action_time,
           coalesce((SELECT email FROM accounts_user WHERE id = NEW.user_id), ''),
           'admin',
           CASE NEW.action_flag WHEN 1 THEN 'added' WHEN 2 THEN 'changed' ELSE 'deleted' END,
           coalesce((SELECT app_label || '.' || model FROM django_content_type
                     WHERE id = NEW.content_type_id), ''),
           left(NEW.object_repr, 200), coalesce(left(NEW.object_id, 255), ''),
           NEW.change_message, '{}';
    RETURN NULL;
END $$;
CREATE TRIGGER audit_admin_log AFTER INSERT ON django_admin_log
    FOR EACH ROW EXECUTE FUNCTION audit_admin_log();
"""
ADMIN_BACK = """
DROP TRIGGER audit_admin_log ON django_admin_log;
DROP FUNCTION audit_admin_log();
"""

# Arguments of each trigger: app.model, and the column that names a row. Columns are read as JSON,
# so that a later migration of those tables needs to know nothing of this.
HISTORY = """
CREATE FUNCTION audit_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_row jsonb := to_jsonb(NEW);
    old_row jsonb;
    changes jsonb := '{}';
BEGIN
    IF NEW.history_type = '~' THEN
        EXECUTE format('SELECT to_jsonb(h) FROM %I h WHERE h.id = $1 AND h.history_id < $2 '
                       'ORDER BY h.history_id DESC LIMIT 1', TG_TABLE_NAME)
            INTO old_row USING NEW.id, NEW.history_id;
        SELECT coalesce(jsonb_object_agg(n.key, jsonb_build_array(old_row -> n.key, n.value)), '{}')
            INTO changes
            FROM jsonb_each(new_row) AS n
            WHERE n.key NOT LIKE 'history\\_%' AND old_row -> n.key IS DISTINCT FROM n.value;
        IF changes = '{}' AND old_row IS NOT NULL THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO recommendations_auditentry
        (at, actor, source, act, subject_type, subject, subject_key, words, details)
    VALUES (NEW.history_date,
            coalesce((SELECT email FROM accounts_user WHERE id = NEW.history_user_id), ''),
            'history',
            CASE NEW.history_type WHEN '+' THEN 'added' WHEN '~' THEN 'changed' ELSE 'deleted' END,
            TG_ARGV[0], left(coalesce(new_row ->> TG_ARGV[1], TG_ARGV[0]), 200), NEW.id::text,
            coalesce(NEW.history_change_reason, ''), changes);
    RETURN NULL;
END $$;
"""
TABLES = {
    "experiments_historicalexperiment": ("experiments.experiment", "key"),
    "experiments_historicalmetric": ("experiments.metric", "key"),
    "experiments_historicalvariant": ("experiments.variant", "key"),
    "experiments_historicalassignmentsettings": ("experiments.assignmentsettings", "id"),
    "bandits_historicalbandit": ("bandits.bandit", "key"),
    "bandits_historicalarm": ("bandits.arm", "key"),
}


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0006_console_tables"),
        ("accounts", "0002_apps_and_profile"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("bandits", "0002_recommendation_strategy"),
        ("experiments", "0005_retractions"),
    ]

    operations = [
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_BACK),
        migrations.RunSQL(ADMIN, ADMIN_BACK),
        migrations.RunSQL(HISTORY, "DROP FUNCTION audit_history()"),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER audit_history AFTER INSERT ON {table} FOR EACH ROW "
                f"EXECUTE FUNCTION audit_history('{model}', '{name}')",
                f"DROP TRIGGER audit_history ON {table}",
            )
            for table, (model, name) in TABLES.items()
        ),
    ]
