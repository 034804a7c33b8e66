"""Whatever staff change in the admin is on record, before and after, without secrets; or it is not done."""

from __future__ import annotations

import pytest
from django.contrib.admin import ModelAdmin, site
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, connection
from django.urls import reverse

from sandboxes import checks
from sandboxes.admin import ReadOnly, Recorded
from sandboxes.lifecycle import snapshots
from sandboxes.models import Event, Image, User

pytestmark = pytest.mark.django_db
GROUP = reverse("admin:auth_group_changelist")


def change(model, pk):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def filled(client, url, **values):
    """The form as it comes, with other values; boxes that are not ticked are left out."""
    form = client.get(url).context["adminform"].form
    data = {}
    for name in form.fields:
        found = form[name].value()
        widget = form.fields[name].widget
        if hasattr(widget, "decompress"):
            data |= {f"{name}_{index}": one or "" for index, one in enumerate(widget.decompress(found))}
        elif found not in (None, False, ""):
            data[name] = "on" if found is True else found
    data = {name: value for name, value in (data | values).items() if value is not None}
    return client.post(url, data)


def test_a_group_is_added_changed_and_removed_on_record(as_root, the):
    seen = Permission.objects.get(codename="view_event")
    as_root.post(reverse("admin:auth_group_add"), {"name": "Auditors"})
    group = Group.objects.get()
    as_root.post(change(Group, group.pk), {"name": "Auditors", "permissions": [seen.pk]})
    as_root.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    assert the("group.add").changes == {"name": [None, "Auditors"]}
    event = the("group.change")
    assert event.changes == {"permissions": [[], [str(seen)]]}
    assert (event.actor_name, event.actor_role, event.target_name) == ("root", "superuser", "Auditors")
    assert the("group.remove").changes["name"] == ["Auditors", None]


def test_many_are_removed_at_once_with_an_event_for_each(as_root):
    groups = [Group.objects.create(name=name) for name in ("one", "two")]
    data = {"action": "delete_selected", "_selected_action": [one.pk for one in groups], "post": "yes"}
    as_root.post(GROUP, data)
    assert not Group.objects.exists()
    removed = Event.objects.filter(action="group.remove").values_list("target_name", flat=True)
    assert sorted(removed) == ["one", "two"]


def test_an_image_says_what_was_changed_and_nothing_else(as_root, image, the):
    answer = filled(as_root, change(Image, image.pk), title="Small", enabled=None)
    assert answer.status_code == 302, answer.context["errors"]
    event = the("image.change")
    assert event.changes == {"title": ["Starter", "Small"], "enabled": [True, False]}
    assert (event.target_kind, event.target_name) == ("image", image.reference)


def test_roles_and_quotas_of_a_person(as_root, alice, the):
    answer = filled(as_root, change(User, alice.pk), is_staff="on", quota_sandboxes="3")
    assert answer.status_code == 302, answer.context["errors"]
    event = the("user.change")
    assert event.changes == {"is_staff": [False, True], "quota_sandboxes": [None, 3]}
    assert event.target_name == "alice"


def test_a_new_person_and_their_password(as_root, the):
    words = {"password1": "a long pass phrase", "password2": "a long pass phrase"}
    as_root.post(
        reverse("admin:sandboxes_user_add"), {"username": "carol", "usable_password": "true"} | words
    )
    carol = User.objects.get(username="carol")
    assert the("user.add").changes["password"] == [None, snapshots.HIDDEN]
    url = reverse("admin:auth_user_password_change", args=[carol.pk])
    as_root.post(url, {"set-password": "1", "usable_password": "true"} | words)
    assert the("user.password").target_name == "carol"
    text = repr([vars(event) for event in Event.objects.all()])
    assert "phrase" not in text
    assert User.objects.get(username="carol").password not in text


@pytest.fixture
def broken_trail(monkeypatch):
    """The database takes no event."""

    def broken(self, *args, **options):
        raise DatabaseError("no room for events")

    return lambda: monkeypatch.setattr(Event, "save", broken)


@pytest.mark.django_db(transaction=True)
def test_where_the_event_cannot_be_written_nothing_is_changed(as_root, image, alice, broken_trail):
    group = Group.objects.create(name="one")
    broken_trail()
    password = alice.password
    words = {"password1": "a long pass phrase", "password2": "a long pass phrase", "usable_password": "true"}
    for act in (
        lambda: as_root.post(reverse("admin:auth_group_add"), {"name": "two"}),
        lambda: as_root.post(change(Group, group.pk), {"name": "three"}),
        lambda: as_root.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}),
        lambda: as_root.post(
            GROUP, {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
        ),
        lambda: as_root.post(reverse("admin:auth_user_password_change", args=[alice.pk]), words),
        lambda: filled(as_root, change(Image, image.pk), title="Small"),
    ):
        with pytest.raises(DatabaseError, match="no room"):
            act()
    assert not connection.in_atomic_block
    assert list(Group.objects.values_list("name", flat=True)) == ["one"]
    assert User.objects.get(pk=alice.pk).password == password
    assert Image.objects.get().title == "Starter"


def test_every_page_of_the_admin_is_read_only_or_recorded():
    assert checks.check_admin(None) == []
    for one in site._registry.values():
        assert isinstance(one, ReadOnly | Recorded)
        assert isinstance(one, ReadOnly) or one.noun


def test_a_page_that_is_neither_is_found_at_the_start(monkeypatch):
    monkeypatch.setitem(site._registry, Permission, ModelAdmin(Permission, site))
    (error,) = checks.check_admin(None)
    assert (error.id, "ModelAdmin" in error.msg) == ("sandboxes.E003", True)


@pytest.mark.parametrize(
    "name", ["password", "url", "secret", "api_token", "invite", "join_code", "access_key"]
)
def test_of_secrets_only_that_they_changed_is_told(name):
    assert snapshots.changes({name: "old"}, {name: "new"}) == {name: [snapshots.HIDDEN, snapshots.HIDDEN]}
    assert snapshots.changes({name: ""}, {name: "new"}) == {name: ["", snapshots.HIDDEN]}


def test_keystrokes_are_no_key():
    assert snapshots.changes({"recording_keystrokes": False}, {"recording_keystrokes": True}) == {
        "recording_keystrokes": [False, True]
    }
