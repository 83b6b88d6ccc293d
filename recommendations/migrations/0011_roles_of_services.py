"""Administrators manage service accounts and their keys."""

from django.db import migrations

ROLE = "administrator"
MODELS = {"serviceaccount": "service account", "servicekey": "service key"}
ACTS = ("add", "change", "view")


def permissions_of(apps):
    """Return the permissions, made where only the end of all migrations would make them."""
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    for model, name in MODELS.items():
        content_type, _ = ContentType.objects.get_or_create(app_label="accounts", model=model)
        for act in ACTS:
            yield Permission.objects.get_or_create(
                content_type=content_type,
                codename=f"{act}_{model}",
                defaults={"name": f"Can {act} {name}"},
            )[0]


def give(apps, schema_editor):
    """Give them to the role."""
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=ROLE)
    group.permissions.add(*permissions_of(apps))


def take(apps, schema_editor):
    """Take them from the role."""
    group = apps.get_model("auth", "Group").objects.filter(name=ROLE).first()
    if group is not None:
        group.permissions.remove(*permissions_of(apps))


class Migration(migrations.Migration):
    dependencies = [
        ("recommendations", "0010_history_import"),
        ("accounts", "0003_service_accounts"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(give, take)]
