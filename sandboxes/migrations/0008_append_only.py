from django.db import migrations

from sandboxes.models import guards


def install(apps, schema_editor):
    guards.install(schema_editor.connection)


def uninstall(apps, schema_editor):
    guards.uninstall(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("sandboxes", "0007_event_search"),
    ]

    operations = [migrations.RunPython(install, uninstall)]
