"""Commands on record are short, inert, and without the usual shapes of secrets."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.lifecycle import argv

C = "canary-71f3"


@pytest.mark.parametrize("words", [
    ["mysql", "--password", C], ["mysql", f"--password={C}"],
    ["sh", "-c", f"mysql --password {C} -e 'select 1'"],
    ["sh", "-c", f"export API_TOKEN={C}; run"], ["env", f"AWS_SECRET_ACCESS_KEY={C}", "ls"],
    ["curl", "-H", f"Authorization: Bearer {C}"], ["sh", "-c", f"curl -H 'Authorization: Basic {C}' x"],
    ["curl", f"https://alice:{C}@example.org/x"],
    ["sh", "-c", f'echo "{{\\"password\\": \\"{C}\\"}}" | send'],
    ["curl", "--cookie", C], ["x", "--private-key", C],
    ["mysql", "-u", "root", f"-p{C}"], ["/usr/bin/mysqldump", f"-p{C}", "db"],
    ["sshpass", f"-p{C}", "ssh", "h"],
    ["sh", "-c", f"cd /tmp && mysql -u root -p{C} -e 'select 1'"], ["sh", "-c", f"mariadb-dump -p'{C}' db"],
    ["curl", "-u", f"alice:{C}", "x"], ["sh", "-c", f"curl -s -u alice:{C} https://x"],
    ["sh", "-c", f"curl --user='alice:{C}' https://x"], ["sh", "-c", f"TOKEN={C} run"],
    ["sh", "-c", f"git clone https://alice:{C}@example.org/x"], ["env", f"DATABASE_URL=postgres://u:{C}@db/x"],
])  # fmt: skip
def test_the_usual_shapes_of_secrets_are_covered(words):
    told = " ".join(argv.kept(words))
    assert C not in told
    assert argv.MASK in told


@pytest.mark.parametrize("text", [
    "ls -la /etc", "mkdir -pv a; cp -pr b c; ssh -p2222 host", "curl -u alice https://x", "find . -print",
    "https://example.org/a:b@c", "printf '%s' 77f", "grep -c x",
])  # fmt: skip
def test_what_is_none_is_left_alone(text):
    assert argv.kept(["sh", "-c", text]) == ["sh", "-c", text]


@given(st.lists(st.text(), max_size=40))
def test_it_is_short_and_inert_whatever_is_typed(words):
    told = argv.kept(words)
    assert sum(map(len, told)) <= argv.MOST + len(argv.MASK)
    assert all(word.isprintable() for word in told)


def test_a_long_command_is_shortened():
    told = argv.kept(["sh", "-c", "x" * 4000, "more"])
    assert told[2].endswith("…")
    assert told[-1] == "…"
    assert sum(map(len, told)) <= argv.MOST + 1


def test_a_long_word_costs_next_to_nothing():
    began = time.process_time()
    for word in ("x" * 4096, "token" * 800, "-" * 4096, "://" * 1300):
        argv.kept(["sh", "-c", word])
    assert time.process_time() - began < 0.5
