"""Addresses that no link of ours leads to are answered like any other that finds nothing."""

import pytest


@pytest.mark.parametrize("path", [
    "event/?since=0001-01-01T00:00%2B14:00", "event/?until=9999-12-31T23:59-12:00",
    "event/?since=9999-12-31T23:59-12:00", "webhook/%C2%B2/change/", f"webhook/{'9' * 5000}/change/",
], ids=["before all times", "after all", "from after all", "no digit", "too many digits"])  # fmt: skip
def test_what_is_odd_is_no_fault(admin_client, path):
    admin_client.raise_request_exception = False
    assert admin_client.get(f"/admin/sandboxes/{path}").status_code < 500
