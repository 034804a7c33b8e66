"""Raw statistics of both cgroup versions, as samples."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.engine.stats import StatsReader

NEVER = "0001-01-01T00:00:00Z"


def raw(second: int, used: int, **changes: Any) -> dict[str, Any]:
    """What a v1 engine says, with the parts that matter."""
    return {
        "read": f"2026-11-24T11:08:{second:02}.500000001Z",
        "cpu_stats": {"cpu_usage": {"total_usage": used}, "online_cpus": 2},
        "memory_stats": {
            "usage": 50 << 20,
            "limit": 64 << 20,
            "stats": {"total_inactive_file": 30 << 20, "inactive_file": 1},
        },
        "pids_stats": {"current": 3},
        "networks": {
            "eth0": {"rx_bytes": 10, "tx_bytes": 1},
            "eth1": {"rx_bytes": 5, "tx_bytes": 2},
        },
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 4096},
                {"op": "Write", "value": 8192},
                {"op": "Total", "value": 12288},
                {"op": "Read", "value": 1},
            ]
        },
    } | changes


def test_the_first_has_no_cpu_and_the_next_is_in_cores():
    reader = StatsReader()
    first, second = reader.read(raw(1, 10**9)), reader.read(raw(3, 2 * 10**9))
    assert first is not None
    assert second is not None
    assert first.cpu is None
    assert second.cpu == pytest.approx(0.5)
    assert second.at - first.at == pytest.approx(2)


def test_a_counter_that_went_back_gives_no_cpu_and_then_goes_on():
    reader = StatsReader()
    for second, used in ((1, 10**9), (2, 5)):
        sample = reader.read(raw(second, used))
        assert sample is not None
        assert sample.cpu is None
    sample = reader.read(raw(3, 5 + 10**9))
    assert sample is not None
    assert sample.cpu == pytest.approx(1)


def test_two_readings_of_the_same_moment_give_no_cpu():
    reader = StatsReader()
    reader.read(raw(1, 0))
    sample = reader.read(raw(1, 10**9))
    assert sample is not None
    assert sample.cpu is None


def test_memory_is_without_page_cache_on_v1():
    sample = StatsReader().read(raw(1, 0))
    assert sample is not None
    assert (sample.memory, sample.memory_limit) == (20 << 20, 64 << 20)


def test_memory_is_without_page_cache_on_v2():
    memory = {"usage": 50 << 20, "limit": 64 << 20, "stats": {"inactive_file": 10 << 20}}
    sample = StatsReader().read(raw(1, 0, memory_stats=memory))
    assert sample is not None
    assert sample.memory == 40 << 20


def test_memory_never_goes_below_nothing():
    memory = {"usage": 5, "limit": 9, "stats": {"inactive_file": 10}}
    sample = StatsReader().read(raw(1, 0, memory_stats=memory))
    assert sample is not None
    assert sample.memory == 5


def test_all_interfaces_and_all_devices_are_summed():
    sample = StatsReader().read(raw(1, 0))
    assert sample is not None
    assert (sample.rx, sample.tx) == (15, 3)
    assert (sample.block_read, sample.block_write) == (4097, 8192)


def test_no_network_is_none_and_no_io_yet_is_zero():
    quiet = raw(1, 0, blkio_stats={"io_service_bytes_recursive": None})
    del quiet["networks"]
    sample = StatsReader().read(quiet)
    assert sample is not None
    assert (sample.rx, sample.tx) == (None, None)
    assert (sample.block_read, sample.block_write) == (0, 0)


def test_lower_case_operations_of_v2_count():
    entries = [{"op": "read", "value": 1}, {"op": "write", "value": 2}]
    sample = StatsReader().read(raw(1, 0, blkio_stats={"io_service_bytes_recursive": entries}))
    assert sample is not None
    assert (sample.block_read, sample.block_write) == (1, 2)


def test_a_container_that_does_not_run_has_no_sample():
    assert StatsReader().read({"read": NEVER, "memory_stats": {}, "pids_stats": {}}) is None


def test_whatever_is_missing_is_unknown():
    sample = StatsReader().read({"read": "2026-11-24T11:08:01Z"})
    assert sample is not None
    assert sample.cpu is sample.memory is sample.pids is sample.block_read is None


def test_a_zero_the_engine_leaves_out_is_zero():
    sample = StatsReader().read(raw(1, 0, pids_stats={"limit": 64}))
    assert sample is not None
    assert sample.pids == 0
