"""The list of system calls, as a list."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sandboxes.engine import seccomp

ALLOWED = [rule for rule in seccomp.profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
FREELY = {name for rule in ALLOWED if not rule["args"] for name in rule["names"]}
NAMES = """
    acct add_key bpf chroot clock_settime delete_module fanotify_init finit_module fsopen init_module
    io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_load keyctl mount
    move_mount name_to_handle_at open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
    process_vm_readv process_vm_writev quotactl reboot request_key setns settimeofday socketcall
    swapon syslog umount2 unshare userfaultfd
"""
REFUSED = NAMES.split()


@pytest.mark.parametrize("name", REFUSED)
def test_no_rule_allows_it(name: str):
    assert name not in {one for rule in ALLOWED for one in rule["names"]}


@pytest.mark.parametrize("name", ["socket", "socketpair", "clone", "personality"])
def test_some_are_allowed_for_certain_arguments_only(name: str):
    assert name not in FREELY
    assert any(name in rule["names"] for rule in ALLOWED)


def test_what_no_rule_allows_is_refused():
    assert seccomp.profile()["defaultAction"] == "SCMP_ACT_ERRNO"


def test_no_name_is_there_twice():
    counts = Counter(name for names in seccomp.FAMILIES.values() for name in names.split())
    assert [name for name, count in counts.items() if count > 1] == []


def test_the_option_is_the_profile_and_short_enough_for_every_container():
    assert json.loads(seccomp.option().removeprefix("seccomp=")) == seccomp.profile()
    assert len(seccomp.option()) < 8000
