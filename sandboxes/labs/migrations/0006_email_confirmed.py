from django.db import migrations, models


def doubt(apps, schema_editor):
    """Of people with accounts of their own it is not known any more who had written their e-mail."""
    people = apps.get_model("labs", "Enrollment").objects.filter(account_made=False)
    people.exclude(email="").update(email_confirmed=False)


class Migration(migrations.Migration):
    dependencies = [
        ("labs", "0005_warned"),
    ]

    operations = [
        migrations.AddField(
            model_name="enrollment",
            name="email_confirmed",
            field=models.BooleanField(default=True),
        ),
        migrations.RunPython(doubt, migrations.RunPython.noop),
    ]
