"""A pytest plugin: where CI is set, a test that is skipped has failed.

On a person's machine a test may be skipped for want of an engine or a browser; in CI that would
be a green light that nobody earned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


def is_ci() -> bool:
    """Whether nothing may be skipped here."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turns a skipped test into a failed one; an expected failure (xfail) stays what it is."""
    report = yield
    if is_ci() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped although CI is set: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for a whole module that skips itself."""
    report = yield
    if is_ci() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"Skipped although CI is set: {reason_of(report)}"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped."""
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
