"""Every knob measured anew from inside a container of each kind: what the kernel holds to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from sandboxes.engine.base import ContainerSpec
from sandboxes.engine.hardening import INODES
from tests.engine.helpers import MIB, Sandboxes, run

pytestmark = pytest.mark.engine
PROFILES: dict[str, dict[str, Any]] = {
    "standard": {}, "internet": {"network": "internet"}, "strict": {"strict": True},
    "root": {"root": True}, "root with internet": {"root": True, "network": "internet"},
    "strict though its image is root's": {"strict": True, "root": True},
    "strict, working elsewhere": {"strict": True, "workdir": "/srv/deep/lab", "memory": 96 * MIB},
    "other limits": {"memory": 80 * MIB, "cpus": 1.25, "pids": 33, "disk": 7 * MIB, "hostname": "odd"},
}  # fmt: skip
LOOK = r"""
say() { echo "== $1"; }
say itself; pwd; echo $HOME
say status; cat /proc/self/status
say main; cat /proc/1/status
say scores; cat /proc/self/oom_score_adj /proc/1/oom_score_adj
say limits; cat /proc/self/limits
say mounts; cat /proc/mounts
say groups
cd /sys/fs/cgroup
for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us \
  cpu/cpu.cfs_period_us cpu/cpu.shares pids/pids.max memory.max memory.swap.max cpu.max cpu.weight pids.max
do [ -r $f ] && echo "${f##*/} $(cat $f)"; done
say masked
for f in /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats \
  /proc/sched_debug /proc/scsi /sys/firmware
do if [ -d $f ]; then ls -A $f; elif [ -e $f ]; then head -c 9 $f; fi; done
say locked
for f in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger /sys
do [ -e $f ] && ! grep -q " $f [a-z0-9]* ro," /proc/mounts && echo $f; done
say written
for f in / /etc /usr /bin /workspace /tmp /srv/deep/lab /var/tmp /dev/shm /sys /proc/sys
do (echo > $f/try) 2> /dev/null && rm $f/try && echo $f; done
say net; ls /sys/class/net
say six; grep -v ' lo$' /proc/net/if_inet6; grep -ls 0 /proc/sys/net/ipv6/conf/eth0/disable_ipv6
say name; hostname
say devices; find /dev -type b
"""
"""One exec, and sh alone; a place that a kernel has not got is none that could be open."""
ROOT = sum(1 << bit for bit in (0, 1, 3, 6, 7))  # chown dac_override fowner setgid setuid
SHARES = 128


def inside(real: Sandboxes, spec: ContainerSpec) -> dict[str, Any]:
    """What is seen from inside, in the words of the table below."""
    native_id = real.created(spec)
    real.engine.start(native_id)
    out = run(real.engine, native_id, "sh", "-c", LOOK)[0].decode()
    parts = dict(re.findall(r"== (\w+)\n(.*?)(?=^== |\Z)", out, re.M | re.S))
    told = {f"{who} {name}": one for who in ("status", "main") for name, one in rights(parts[who]).items()}
    return {
        **told, "scores": parts["scores"].split(), "limits": limits(parts["limits"]),
        "groups": groups(dict(line.split(" ", 1) for line in parts["groups"].splitlines())),
        "masked": parts["masked"].split(), "locked": parts["locked"].split(), "net": parts["net"].split(),
        "six": parts["six"].split(),
        "written": sorted(parts["written"].split()), "devices": parts["devices"].split(),
        "name": parts["name"].strip(), "itself": parts["itself"].split(), "mounts": mounts(parts["mounts"]),
    }  # fmt: skip


def rights(status: str) -> dict[str, Any]:
    """Of one process: who it is, what it may, and that it may not more."""
    found = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.M))
    sets = {name: int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    users = {name: {*found[name].split()} for name in ("Uid", "Gid")}
    return sets | users | {name: found[name] for name in ("NoNewPrivs", "Seccomp")}


def limits(text: str) -> dict[str, list[str]]:
    """Soft and hard."""
    rows = re.findall(r"^Max (core file size|open files|file size) +(\S+) +(\S+)", text, re.M)
    return {name: [soft, hard] for name, soft, hard in rows}


def groups(files: dict[str, str]) -> dict[str, float]:
    """What the control groups hold it to, of either version; swap is what goes beyond memory."""
    if "memory.max" in files:
        quota, period = map(int, files["cpu.max"].split())
        memory, swap = int(files["memory.max"]), int(files["memory.swap.max"])
        shares = int(files["cpu.weight"])
    else:
        quota, period = int(files["cpu.cfs_quota_us"]), int(files["cpu.cfs_period_us"])
        memory = int(files["memory.limit_in_bytes"])
        swap = int(files["memory.memsw.limit_in_bytes"]) - memory
        shares = weight(int(files["cpu.shares"]))
    pids = int(files["pids.max"])
    return {"memory": memory, "swap": swap, "cpus": quota / period, "shares": shares, "pids": pids}


def weight(shares: int) -> int:
    """What version 2 of the groups has instead."""
    return 1 + (shares - 2) * 9999 // 262142


def mounts(text: str) -> dict[str, set[str]]:
    """The options that matter, of the places where something could be written or run."""
    rows = {place: set(options.split(",")) for _, place, _, options, *_ in map(str.split, text.splitlines())}
    dull = {"rw", "relatime", "exec", "noexec", "inode64"}
    return {
        place: {one for one in options if one == "ro" or (place != "/" and one not in dull)}
        for place, options in rows.items()
        if place in ("/", "/dev/shm", "/tmp", "/workspace", "/srv/deep/lab")
    }


def wanted(spec: ContainerSpec) -> dict[str, Any]:
    """The table of what a container gets (docs/reference/guarantees.md, I1)."""
    is_root = spec.root and not spec.strict
    mine = "0" if is_root else "1000"
    caps = ROOT if is_root else 0
    usual = {"CapInh": 0, "CapPrm": caps, "CapEff": caps, "CapBnd": caps, "CapAmb": 0, "Uid": {mine},
             "Gid": {mine}, "NoNewPrivs": "1", "Seccomp": "2"}  # fmt: skip
    disk = str(spec.disk // 4 if is_root else spec.disk)
    return {
        **{f"{who} {name}": value for who in ("status", "main") for name, value in usual.items()},
        "scores": ["500", "500"],
        "limits": {"core file size": ["0", "0"], "open files": ["1024", "1024"], "file size": [disk, disk]},
        "groups": {"memory": spec.memory, "swap": 0, "cpus": spec.cpus, "shares": weight(SHARES),
                   "pids": spec.pids},
        "masked": [], "locked": [], "six": [],
        "net": ["eth0", "lo"] if spec.network == "internet" else ["lo"],
        "written": written(spec, is_root), "devices": [], "name": spec.hostname,
        "itself": [spec.workdir, "/root" if is_root else spec.workdir], "mounts": places(spec),
    }  # fmt: skip


def written(spec: ContainerSpec, is_root: bool) -> list[str]:
    """Where it may write, as far as that is looked at."""
    if spec.strict:
        return sorted({"/dev/shm", "/tmp", spec.workdir})
    everywhere = ["/", "/bin", "/dev/shm", "/etc", "/tmp", "/usr", "/var/tmp", "/workspace"]
    return everywhere if is_root else ["/dev/shm", "/tmp", "/var/tmp", "/workspace"]


def places(spec: ContainerSpec) -> dict[str, set[str]]:
    """Its root, and what is in memory."""
    shm = {"/dev/shm": {"nosuid", "nodev", "size=16384k"}}
    if not spec.strict:
        return {"/": set()} | shm
    sizes = {spec.workdir: (spec.memory // 2, {"mode=700"}), "/tmp": (spec.memory // 8, set())}
    usual = {"nosuid", "nodev", f"nr_inodes={INODES}", "uid=1000", "gid=1000"}
    return {"/": {"ro"}} | shm | {
        place: {*usual, *mode, f"size={size >> 10}k"} for place, (size, mode) in sizes.items()
    }  # fmt: skip


@pytest.mark.parametrize("changes", PROFILES.values(), ids=list(PROFILES))
def test_from_inside_it_is_what_was_promised(real: Sandboxes, changes: dict[str, Any]) -> None:
    spec = replace(real.spec(), **changes)
    assert inside(real, spec) == wanted(spec)
