"""Telling a container's processes apart: the host's list laid beside the one from inside."""

from __future__ import annotations

import random

import pytest

from sandboxes.engine import keys, kinship
from sandboxes.engine.kinship import Row, family, same

HOST = [
    Row(1000, 900, 1000, 1000, -1, -100),
    Row(1001, 1000, 1001, 1000, -1, -100),
    Row(1010, 900, 1010, 1010, 1012, -50),
    Row(1012, 1010, 1012, 1010, 1012, -50),
    Row(1013, 1000, 1013, 1009, -1, -50),
]
"""PID 1 and its shell, a terminal with a program in front, and an orphan of a session whose first is gone."""
INSIDE = [
    Row(1, 0, 1, 1, -1, 7000),
    Row(7, 1, 7, 1, -1, 7001),
    Row(20, 0, 20, 20, 22, 12000),
    Row(22, 20, 22, 20, 22, 12001),
    Row(23, 1, 23, 19, -1, 12001),
]


def test_each_number_on_the_host_has_its_process_inside():
    shuffled = random.Random(7).sample(INSIDE, len(INSIDE))
    assert same(HOST, shuffled) == dict(zip((row.pid for row in HOST), INSIDE, strict=True))


@pytest.mark.parametrize(
    "changed",
    [
        INSIDE[:-1],
        [*INSIDE[:-1], Row(23, 20, 23, 19, -1, 12001)],
        [*INSIDE[:-1], Row(23, 1, 23, 20, -1, 12001)],
        [*INSIDE[:-1], Row(23, 1, 23, 19, 23, 12001)],
        [*INSIDE[:-1], Row(23, 1, 22, 19, -1, 12001)],
    ],
    ids=["fewer", "another parent", "another session", "a terminal", "another group"],
)
def test_lists_that_disagree_tell_nothing(changed: list[Row]):
    assert same(HOST, changed) == {}


def test_a_family_is_a_session_and_what_descends_from_it():
    child = Row(1020, 1012, 1020, 1020, -1, -1)
    assert family([*HOST, child], 1010, 50) == {1010, 1012, 1020}
    assert family(HOST, 1009, 50) == {1013}
    assert family(HOST, 4711, 50) == set()


def test_a_number_used_again_is_no_family():
    assert family(HOST, 1010, 300) == set()


def test_rows_are_read_as_both_sides_write_them():
    assert kinship.inside(["23:1:22:20:34816:12001:none:-1"]) == [Row(23, 1, 22, 20, -1, 12001)]
    lines = [["1013", "1000", "1012", "1010", "-1", "50", "Ss"], ["5", "1", "5", "5", "-1", "0", "Z"]]
    assert kinship.outside(lines) == [Row(1013, 1000, 1012, 1010, -1, -50)]
    with pytest.raises(ValueError, match="unpack"):
        kinship.inside(["23:1"])


@pytest.mark.parametrize("given", ["HgAeHx4AHh1tXzE=", keys.detach_keys("m_1")])
def test_an_exec_s_keys_name_its_marker(given: str):
    assert keys.is_ours(given)
    assert keys.is_marked(given, "m_1")
    assert not keys.is_marked(given, "m_")


@pytest.mark.parametrize("given", [None, "", "ctrl-p,ctrl-q", "EBE=", "?"])
def test_the_keys_of_other_hands_are_not_ours(given: str | None):
    assert not keys.is_ours(given)
    assert not keys.is_marked(given, "m_1")
