"""What people may ask for, value by value."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import limits, names

GOOD = [
    (limits.clean_name, "  my box  ", "my box"),
    (limits.clean_name, "Größe 箱", "Größe 箱"),
    (limits.clean_memory, "512m", 512 << 20),
    (limits.clean_memory, "1.5g", 3 << 29),
    (limits.clean_memory, "1GiB", 1 << 30),
    (limits.clean_memory, 6 << 20, 6 << 20),
    (limits.clean_cpus, "0.05", Decimal("0.05")),
    (limits.clean_cpus, 0.5, Decimal("0.50")),
    (limits.clean_cpus, 4, Decimal("4.00")),
    (limits.clean_pids, " 64 ", 64),
    (limits.clean_lifetime, "1h 30m", 5400),
    (limits.clean_lifetime, "5", 300),
    (limits.clean_lifetime, 1, 1),
    (limits.clean_time_limit, "5", 5),
    (limits.clean_time_limit, "2 min", 120),
    (limits.clean_environment, "A=1\r\n\r\n B =x = y", {"A": "1", "B": "x = y"}),
    (limits.clean_environment, None, {}),
    (limits.clean_workdir, "/srv/./app/../web", "/srv/web"),
    (limits.clean_workdir, "/", "/"),
    (limits.clean_workdir, "/process", "/process"),
]


@pytest.mark.parametrize(("clean", "value", "wanted"), GOOD)
def test_good_values_come_out_clean(engine, clean, value, wanted):
    assert clean(value) == wanted


def test_the_most_cpus_is_what_the_host_has(engine, settings):
    with pytest.raises(ValueError, match="at most 4"):
        limits.clean_cpus("4.01")
    settings.SANDBOX_MAX_CPUS = 1.5
    with pytest.raises(ValueError, match=r"at most 1\.5"):
        limits.clean_cpus("2")


def test_the_host_is_asked_once(engine):
    for _ in range(5):
        limits.clean_cpus(1)
    assert [name for name, _ in engine.calls] == ["info"]


def test_an_engine_that_is_away_leaves_the_host_s_number_open(engine):
    engine.away = Unreachable("away")
    assert limits.clean_cpus(64) == 64


@given(st.text() | st.integers() | st.floats() | st.none() | st.binary())
def test_whatever_comes_in_a_sentence_or_a_value_comes_out(value):
    for clean in (limits.clean_memory, limits.clean_pids, limits.clean_lifetime, limits.clean_time_limit):
        if isinstance(value, int | str):
            _sentence_or_value(clean, value)
    if isinstance(value, str):
        for clean in (limits.clean_name, limits.clean_workdir, limits.clean_environment):
            _sentence_or_value(clean, value)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers(), max_size=5))
def test_an_environment_that_passes_can_be_passed_on(mapping):
    try:
        cleaned = limits.clean_environment(mapping)
    except ValueError:
        return
    for name, value in cleaned.items():
        assert name.isascii()
        assert "\0" not in value
        value.encode()


def _sentence_or_value(clean, value):
    try:
        clean(value)
    except ValueError as error:
        sentence = str(error)
    else:
        return
    assert sentence.endswith(".")
    assert sentence[0].isupper()


def test_names_are_short_enough_and_many():
    made = {names.new() for _ in range(200)}
    assert len(made) > 150
    assert all(limits.clean_name(name) == name for name in made)
