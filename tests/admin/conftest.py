"""The auditor: staff with the permission to read the trail, and no other."""

import pytest
from django.contrib.auth.models import Permission

from sandboxes.models import User


@pytest.fixture
def reader(client, db):
    """The auditor's client, signed in."""
    user = User.objects.create_user("audra", password="audra's password", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    client.force_login(user)
    return client
