"""Indexes by which the trail is listed, and one over its words that the database keeps by itself."""

from django.db import migrations, models

COLUMNS = (
    "actor_name", "on_behalf", "sandbox_id", "sandbox_name", "owner_name", "target_id", "target_name",
    "place_id", "place_name", "operation", "request_id", "outcome", "action",
)  # fmt: skip
SIZE = 8000

FTS5_TEXT = " || ' ' || ".join(
    [
        *(f"{{row}}.{name}" for name in COLUMNS),
        "replace({row}.action, '.', ' ')",
        "coalesce({row}.address, '')",
        "replace(rtrim({row}.reason, '.'), '. ', ' ')",
        f"substr({{row}}.detail, 1, {SIZE})",
        f"substr({{row}}.changes, 1, {SIZE})",
    ]
)
SQLITE = (
    "CREATE VIRTUAL TABLE sandboxes_event_words USING fts5("
    "text, content='', tokenize=\"unicode61 remove_diacritics 0 tokenchars '-_.@:'\")",
    "INSERT INTO sandboxes_event_words(rowid, text) "
    f"SELECT id, {FTS5_TEXT.format(row='sandboxes_event')} FROM sandboxes_event",
    "CREATE TRIGGER sandboxes_event_words_added AFTER INSERT ON sandboxes_event BEGIN "
    "INSERT INTO sandboxes_event_words(rowid, text) "
    f"VALUES (new.id, {FTS5_TEXT.format(row='new')}); END",
    "CREATE TRIGGER sandboxes_event_words_gone AFTER DELETE ON sandboxes_event BEGIN "
    "INSERT INTO sandboxes_event_words(sandboxes_event_words, rowid, text) "
    f"VALUES ('delete', old.id, {FTS5_TEXT.format(row='old')}); END",
)
SQLITE_BACK = (
    "DROP TRIGGER sandboxes_event_words_gone",
    "DROP TRIGGER sandboxes_event_words_added",
    "DROP TABLE sandboxes_event_words",
)

POSTGRES_TEXT = " || ' ' || ".join(
    [
        *COLUMNS,
        "replace(action, '.', ' ')",
        "coalesce(host(address), '')",
        "replace(rtrim(reason, '.'), '. ', ' ')",
        f"left(detail::text, {SIZE})",
        f"left(changes::text, {SIZE})",
    ]
)
BETWEEN = r"[\s!-,/;-?\[-^`{-~\u00a0-\u00bf\u2000-\u206f\u3000-\u3003]+"
POSTGRES = (
    "CREATE FUNCTION sandboxes_words(told text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS "
    f"$$ SELECT array_to_tsvector(array_remove(regexp_split_to_array(lower(told), '{BETWEEN}'), '')) $$",
    "ALTER TABLE sandboxes_event ADD COLUMN words tsvector "
    f"GENERATED ALWAYS AS (sandboxes_words({POSTGRES_TEXT})) STORED",
    "CREATE INDEX sandboxes_event_words ON sandboxes_event USING gin (words)",
)
POSTGRES_BACK = (
    "ALTER TABLE sandboxes_event DROP COLUMN words",
    "DROP FUNCTION sandboxes_words(text)",
)


def run(sqlite, postgres):
    def change(apps, editor):
        statements = {"sqlite": sqlite, "postgresql": postgres}[editor.connection.vendor]
        for one in statements:
            editor.execute(one, params=None)

    return change


def by(name, *fields):
    return migrations.AddIndex("event", models.Index(fields=fields, name=name))


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0006_webhooks")]

    operations = [
        migrations.RemoveIndex("event", "events_of_a_request"),
        migrations.RemoveIndex("event", "events_of_a_place"),
        migrations.RemoveIndex("event", "events_of_a_target"),
        by("events_of_a_request", "request_id", "at"),
        by("events_of_a_place", "place_id", "at"),
        by("events_of_a_place_name", "place_name", "at"),
        by("events_of_a_target", "target_id", "at"),
        by("events_of_an_actor", "actor_name", "at"),
        by("events_of_an_owner", "owner_name", "at"),
        by("events_of_a_sandbox", "sandbox_id", "at"),
        by("events_of_a_sandbox_name", "sandbox_name", "at"),
        by("events_of_an_action", "action", "at"),
        by("events_of_an_outcome", "outcome", "at"),
        by("events_of_an_address", "address", "at"),
        migrations.RunPython(run(SQLITE, POSTGRES), run(SQLITE_BACK, POSTGRES_BACK)),
    ]
