"""Roles as groups: viewer, experimenter, operator, administrator."""

from django.db import migrations

ROLES = {
    "viewer": """
        bandits.view_archive bandits.view_arm bandits.view_bandit bandits.view_snapshot
        experiments.view_assignmentsettings experiments.view_experiment
        experiments.view_experimentmetric experiments.view_metric experiments.view_phase
        experiments.view_variant recommendations.view_activityslot recommendations.view_artist
        recommendations.view_countedday recommendations.view_genre
        recommendations.view_heartbeat recommendations.view_modelversion
        recommendations.view_outboxevent recommendations.view_requestminute
        recommendations.view_servingstate recommendations.view_systemreading
        recommendations.view_systemreport recommendations.view_track
        recommendations.view_trackshown recommendations.view_trainingrun
    """,
    "experimenter": """
        accounts.view_listener bandits.add_arm bandits.change_archive bandits.change_arm
        bandits.change_bandit bandits.view_archive bandits.view_arm bandits.view_bandit
        bandits.view_decision bandits.view_snapshot experiments.add_experiment
        experiments.add_experimentmetric experiments.add_metric experiments.add_variant
        experiments.change_assignmentsettings experiments.change_experiment
        experiments.change_experimentmetric experiments.change_metric experiments.change_variant
        experiments.delete_experiment experiments.delete_experimentmetric
        experiments.delete_variant experiments.run_experiment experiments.ship_experiment
        experiments.view_assignmentsettings experiments.view_experiment
        experiments.view_experimentmetric experiments.view_metric experiments.view_phase
        experiments.view_variant recommendations.inspect_listener
        recommendations.view_activityslot recommendations.view_artist
        recommendations.view_countedday recommendations.view_feedback recommendations.view_genre
        recommendations.view_heartbeat recommendations.view_modelversion
        recommendations.view_outboxevent recommendations.view_recommendation
        recommendations.view_requestminute recommendations.view_servingstate
        recommendations.view_systemreading recommendations.view_systemreport
        recommendations.view_track recommendations.view_trackshown
        recommendations.view_trainingrun
    """,
    "operator": """
        accounts.view_listener bandits.change_archive bandits.change_arm bandits.change_bandit
        bandits.view_archive bandits.view_arm bandits.view_bandit bandits.view_decision
        bandits.view_snapshot django_celery_beat.change_periodictask
        django_celery_beat.view_crontabschedule django_celery_beat.view_intervalschedule
        django_celery_beat.view_periodictask experiments.run_experiment
        experiments.view_assignmentsettings experiments.view_experiment
        experiments.view_experimentmetric experiments.view_metric experiments.view_phase
        experiments.view_variant recommendations.add_artist recommendations.add_catalogueupload
        recommendations.add_genre recommendations.add_track recommendations.add_trainingrun
        recommendations.change_artist recommendations.change_genre
        recommendations.change_outboxevent recommendations.change_servingstate
        recommendations.change_track recommendations.inspect_listener
        recommendations.view_activityslot recommendations.view_artist
        recommendations.view_auditentry recommendations.view_catalogueupload
        recommendations.view_countedday recommendations.view_feedback recommendations.view_genre
        recommendations.view_heartbeat recommendations.view_modelversion
        recommendations.view_outboxevent recommendations.view_recommendation
        recommendations.view_requestminute recommendations.view_servingstate
        recommendations.view_systemreading recommendations.view_systemreport
        recommendations.view_track recommendations.view_trackshown
        recommendations.view_trainingrun
    """,
    "administrator": """
        accounts.add_listener accounts.add_user accounts.change_listener accounts.change_user
        accounts.delete_apitoken accounts.delete_listener accounts.delete_user
        accounts.view_apitoken accounts.view_listener accounts.view_user auth.change_group
        auth.view_group bandits.add_arm bandits.change_archive bandits.change_arm
        bandits.change_bandit bandits.view_archive bandits.view_arm bandits.view_bandit
        bandits.view_decision bandits.view_snapshot django_celery_beat.add_periodictask
        django_celery_beat.change_periodictask django_celery_beat.delete_periodictask
        django_celery_beat.view_crontabschedule django_celery_beat.view_intervalschedule
        django_celery_beat.view_periodictask experiments.add_experiment
        experiments.add_experimentmetric experiments.add_metric experiments.add_variant
        experiments.change_assignmentsettings experiments.change_experiment
        experiments.change_experimentmetric experiments.change_metric experiments.change_variant
        experiments.delete_experiment experiments.delete_experimentmetric
        experiments.delete_metric experiments.delete_variant experiments.run_experiment
        experiments.ship_experiment experiments.view_assignmentsettings
        experiments.view_experiment experiments.view_experimentmetric experiments.view_metric
        experiments.view_phase experiments.view_variant recommendations.add_artist
        recommendations.add_catalogueupload recommendations.add_genre recommendations.add_track
        recommendations.add_trainingrun recommendations.change_artist
        recommendations.change_genre recommendations.change_outboxevent
        recommendations.change_servingstate recommendations.change_track
        recommendations.delete_artist recommendations.delete_genre recommendations.delete_track
        recommendations.inspect_listener recommendations.view_activityslot
        recommendations.view_artist recommendations.view_auditentry
        recommendations.view_catalogueupload recommendations.view_countedday
        recommendations.view_feedback recommendations.view_genre recommendations.view_heartbeat
        recommendations.view_modelversion recommendations.view_outboxevent
        recommendations.view_recommendation recommendations.view_requestminute
        recommendations.view_servingstate recommendations.view_systemreading
        recommendations.view_systemreport recommendations.view_track
        recommendations.view_trackshown recommendations.view_trainingrun
    """,
}


def make_roles(apps, schema_editor):
    """Make the groups, and the permissions that only the end of all migrations would make."""
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")
    for name, words in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        for permission in words.split():
            app, codename = permission.split(".")
            group.permissions.add(_permission(apps, Permission, ContentType, app, codename))


def _permission(apps, Permission, ContentType, app, codename):
    act, _, model = codename.partition("_")
    special = {
        "run_experiment": ("experiment", "Can start, pause, stop and begin phases of experiments"),
        "ship_experiment": ("experiment", "Can make a variant's policy the default"),
        "inspect_listener": (
            "auditentry",
            "Can look into one listener's taste, history and lists",
        ),
    }
    if codename in special:
        model, name = special[codename]
    else:
        name = f"Can {act} {apps.get_model(app, model)._meta.verbose_name}"
    content_type, _ = ContentType.objects.get_or_create(app_label=app, model=model)
    found, _ = Permission.objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name[:255]}
    )
    return found


def drop_roles(apps, schema_editor):
    """Drop the groups; the permissions belong to their models."""
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0007_audit_triggers"),
        ("accounts", "0002_apps_and_profile"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("bandits", "0002_recommendation_strategy"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("experiments", "0005_retractions"),
    ]

    operations = [migrations.RunPython(make_roles, drop_roles)]
