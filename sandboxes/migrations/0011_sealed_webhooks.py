"""Where webhooks post to and what they sign with is encrypted in the database from now on."""

from django.db import migrations

import sandboxes.models.sealed
import sandboxes.models.webhook


def seal(apps, schema_editor):
    """What is there already: read as it is, written sealed."""
    for hook in apps.get_model("sandboxes", "Webhook").objects.all():
        hook.save(update_fields=["url", "secret"])


def unseal(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for hook in apps.get_model("sandboxes", "Webhook").objects.all():
            cursor.execute(
                "UPDATE sandboxes_webhook SET url = %s, secret = %s WHERE id = %s",
                [hook.url, hook.secret, hook.pk],
            )


class Migration(migrations.Migration):
    dependencies = [
        ("sandboxes", "0010_isolation"),
    ]

    operations = [
        migrations.AlterField(
            model_name="webhook",
            name="url",
            field=sandboxes.models.sealed.SealedField(verbose_name="URL"),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="secret",
            field=sandboxes.models.sealed.SealedField(
                default=sandboxes.models.webhook.new_secret, editable=False
            ),
        ),
        migrations.RunPython(seal, unseal),
    ]
