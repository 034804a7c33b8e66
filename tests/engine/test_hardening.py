"""The description of a sandbox's container, and the comparison with what was made."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from sandboxes.engine import seccomp
from sandboxes.engine.base import ContainerSpec, EngineError
from sandboxes.engine.hardening import ImageFacts, changes, create_config, differences, file_size, user_for

SPEC = ContainerSpec("sb_k7w2m9x4", "node:20-alpine", 512 << 20, 1.5, 256, environment={"A": "b=c"})
PLAIN = ImageFacts()


def config(image: ImageFacts = PLAIN, **wishes: Any) -> dict[str, Any]:
    return create_config(replace(SPEC, **wishes), "mine", image, "sandboxes")


def as_inspected(made: dict[str, Any]) -> dict[str, Any]:
    """What an engine that did as it was told would say."""
    made = copy.deepcopy(made)
    host = made.pop("HostConfig") | {"MaskedPaths": ["/proc/kcore"], "ReadonlyPaths": ["/proc/sys"]}
    made["Env"].append("PATH=/bin")
    made["Labels"]["of"] = "the image"
    return {"Config": made, "HostConfig": host, "Mounts": []}


def test_the_limits_are_limits():
    host = config()["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert host["NanoCpus"] == 1_500_000_000
    assert host["PidsLimit"] == 256


def test_nothing_reaches_the_host():
    host = config()["HostConfig"]
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == []
    assert host["SecurityOpt"] == ["no-new-privileges:true", seccomp.option()]
    assert not {"Binds", "Mounts", "Devices", "VolumesFrom"} & set(host)


def test_a_strict_one_is_closed_in_every_knob():
    host = config(strict=True, root=True)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert (host["CapDrop"], host["CapAdd"], host["NetworkMode"]) == (["ALL"], [], "none")
    assert sorted(host["Tmpfs"]) == ["/tmp", "/workspace"]
    assert all("uid=1000,gid=1000" in options for options in host["Tmpfs"].values())
    assert "size=268435456" in host["Tmpfs"]["/workspace"]
    assert "size=67108864" in host["Tmpfs"]["/tmp"]


@pytest.mark.parametrize("user", ["", "root", "node", "33:33"])
def test_a_strict_one_is_of_the_student_whatever_the_image_says(user: str):
    assert user_for(replace(SPEC, strict=True, root=True), ImageFacts(user)) == "1000:1000"


def test_a_strict_one_has_its_working_directory_in_memory():
    made = config(strict=True, workdir="/srv/lab")
    assert sorted(made["HostConfig"]["Tmpfs"]) == ["/srv/lab", "/tmp"]
    assert "HOME=/srv/lab" in made["Env"]


@pytest.mark.parametrize("workdir", ["/", "/tmp", "/var/tmp"])
def test_a_strict_one_has_a_home_where_its_working_directory_can_be_none(workdir: str):
    made = config(strict=True, workdir=workdir)
    assert sorted(made["HostConfig"]["Tmpfs"]) == ["/tmp", "/workspace"]
    assert "HOME=/workspace" in made["Env"]


def test_no_file_is_larger_than_what_may_be_written():
    limits = {one["Name"]: one["Hard"] for one in config(disk=7 << 20)["HostConfig"]["Ulimits"]}
    assert limits == {"nofile": 1024, "core": 0, "fsize": 7 << 20}


def test_a_file_of_root_is_a_quarter_of_it_at_most():
    """Three files that root may write are the host's, and not counted."""
    assert file_size(replace(SPEC, disk=8 << 20, root=True)) == 2 << 20
    assert file_size(replace(SPEC, disk=8 << 20, root=True, strict=True)) == 8 << 20
    assert file_size(replace(SPEC, disk=1, root=True)) == 1


def test_the_network_is_none_or_ours():
    assert config()["HostConfig"]["NetworkMode"] == "none"
    assert config(network="internet")["HostConfig"]["NetworkMode"] == "sandboxes"


@pytest.mark.parametrize("user", ["", "0", "root", "0:0", "root:root", "0:1000", "00", "+0", "-0", "000:5"])
def test_an_image_of_root_runs_as_the_student_unless_root_is_allowed(user: str):
    assert user_for(SPEC, ImageFacts(user)) == "1000:1000"
    assert user_for(replace(SPEC, root=True), ImageFacts(user)) == "0:0"


def test_an_image_with_a_user_of_its_own_keeps_it():
    assert user_for(SPEC, ImageFacts("node")) == "node"
    assert user_for(SPEC, ImageFacts("1001:5")) == "1001:5"
    assert user_for(SPEC, ImageFacts("+7")) == "+7"


def test_what_was_looked_up_stands_in_its_place():
    """The engine would look a name up at every start and exec, in files that a person may have rewritten."""
    assert config(ImageFacts("node", numbers="1000:1001"))["User"] == "1000:1001"
    assert config(ImageFacts("1000", numbers="1000:1001"))["User"] == "1000:1001"
    assert config(ImageFacts("7:8", numbers="9:9"))["User"] == "7:8"
    assert config(ImageFacts("node", numbers="7:7"), strict=True)["User"] == "1000:1000"
    assert config(ImageFacts("node", numbers="7:7"), root=True)["User"] == "0:0"
    assert config(ImageFacts("node", numbers="7:7"))["Env"] == ["A=b=c"]


def test_root_gets_back_five_capabilities():
    assert sorted(config(root=True)["HostConfig"]["CapAdd"]) == [
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
    ]


def test_the_environment_cannot_carry_a_mark():
    made = config(environment={"SANDBOX_MARKER": "x", "B": "1"})
    assert made["Env"] == ["HOME=/workspace", "B=1"]


def test_home_is_the_workdir_only_for_a_user_the_image_may_not_know():
    assert "HOME=/workspace" in config()["Env"]
    assert "HOME=/workspace" in config(ImageFacts("1001"))["Env"]
    assert config(ImageFacts("node"))["Env"] == ["A=b=c"]
    assert config(root=True)["Env"] == ["A=b=c"]
    assert "HOME=/h" in config(environment={"HOME": "/h"})["Env"]


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": 0},
        {"memory": -1},
        {"pids": 0},
        {"pids": -2},
        {"cpus": 0},
        {"cpus": 0.001},
        {"cpus": -1},
        {"network": "host"},
        {"network": "internet", "strict": True},
        {"disk": 0},
        {"network": "container:abc"},
        {"workdir": "relative"},
        {"workdir": "/proc/self/fd/7"},
        {"workdir": "/a/../proc"},
        {"workdir": "/sys"},
        {"workdir": "/a\nb"},
        {"workdir": "//a"},
        {"workdir": "/a/"},
        {"workdir": ""},
        {"environment": {"": "x"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "x\0y"}},
        {"environment": {"A\n": "x"}},
    ],
)
def test_what_the_engine_would_take_wrongly_never_reaches_it(changes: dict[str, Any]):
    with pytest.raises(EngineError):
        config(**changes)


def test_a_container_made_as_asked_has_no_differences():
    for made in (config(), config(root=True, network="internet"), config(strict=True)):
        assert differences(made, as_inspected(made)) == []


def every_knob() -> list[tuple[str, str]]:
    made = config(root=True)
    knobs = [("Config", knob) for knob in made if knob not in ("HostConfig", "Cmd")]
    return knobs + [("HostConfig", knob) for knob in made["HostConfig"]]


@pytest.mark.parametrize(("part", "knob"), every_knob())
def test_every_knob_that_is_missing_is_noticed(part: str, knob: str):
    made = config(root=True)
    inspected = as_inspected(made)
    del inspected[part][knob]
    assert [one for one in differences(made, inspected) if knob in one]


@pytest.mark.parametrize(("part", "knob"), every_knob())
def test_every_knob_that_was_changed_is_noticed(part: str, knob: str):
    made = config(root=True)
    inspected = as_inspected(made)
    value = inspected[part][knob]
    inspected[part][knob] = {bool: True, int: 7, str: "other", list: ["x"], dict: {"x": "y"}}[type(value)]
    if isinstance(value, bool):
        inspected[part][knob] = not value
    assert [one for one in differences(made, inspected) if knob in one]


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("Binds", ["/:/host"]),
        ("Devices", [{"PathOnHost": "/dev/sda"}]),
        ("PidMode", "host"),
        ("UTSMode", "host"),
        ("UsernsMode", "host"),
        ("PortBindings", {"80/tcp": []}),
        ("VolumesFrom", ["other"]),
        ("OomKillDisable", True),
        ("MaskedPaths", []),
        ("ReadonlyPaths", None),
    ],
)
def test_what_nobody_asked_for_is_noticed(knob: str, value: Any):
    made = config()
    inspected = as_inspected(made)
    inspected["HostConfig"][knob] = value
    assert [one for one in differences(made, inspected) if knob in one]


def test_a_bind_mount_is_noticed_and_an_image_s_own_volume_is_not():
    made = config()
    inspected = as_inspected(made)
    inspected["Mounts"] = [{"Type": "volume"}]
    assert differences(made, inspected) == []
    inspected["Mounts"].append({"Type": "bind", "Source": "/"})
    assert differences(made, inspected)


def test_a_volume_is_noticed_where_nothing_else_can_be_written():
    made = config(strict=True)
    inspected = as_inspected(made)
    inspected["Mounts"] = [{"Type": "volume"}]
    assert differences(made, inspected)


def test_other_places_in_memory_than_asked_are_noticed():
    made = config(strict=True)
    inspected = as_inspected(made)
    inspected["HostConfig"]["Tmpfs"]["/etc"] = "rw"
    assert differences(made, inspected)
    made = config()
    inspected = as_inspected(made)
    inspected["HostConfig"]["Tmpfs"] = {"/etc": "rw"}
    assert differences(made, inspected)


def test_differences_never_show_values_of_the_environment():
    made = config(environment={"TOKEN": "canary"})
    inspected = as_inspected(made)
    inspected["Config"]["Env"] = []
    assert "canary" not in str(differences(made, inspected))


def test_a_difference_in_the_system_calls_is_short():
    made = config()
    inspected = as_inspected(made)
    inspected["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true", "seccomp=unconfined"]
    (found,) = differences(made, inspected)
    assert "seccomp=unconfined" in found
    assert len(found) < 300


def test_spellings_of_newer_engines_are_no_difference():
    made = config(root=True)
    inspected = as_inspected(made)
    inspected["HostConfig"]["CapAdd"] = [f"CAP_{one}" for one in made["HostConfig"]["CapAdd"]]
    inspected["HostConfig"]["SecurityOpt"] = [seccomp.option(), "no-new-privileges=true"]
    assert differences(made, inspected) == []


def test_a_host_that_cannot_limit_swap_is_excused_from_that_alone():
    made = config()
    inspected = as_inspected(made)
    inspected["HostConfig"]["MemorySwap"] = -1
    assert differences(made, inspected)
    assert differences(made, inspected, swap_limit=False) == []
    inspected["HostConfig"]["MemorySwap"] = 7
    assert differences(made, inspected, swap_limit=False)


# -- what others may change later -------------------------------------------------------------------


def test_a_container_that_nobody_touched_has_no_changes():
    for wishes in ({}, {"network": "internet"}, {"strict": True}):
        made = config(**wishes)
        inspected = joined(as_inspected(made), made["HostConfig"]["NetworkMode"])
        assert changes(replace(SPEC, **wishes), inspected, "sandboxes") == []


@pytest.mark.parametrize(
    ("knob", "value", "word"),
    [
        ("Memory", 1 << 40, "memory"),
        ("MemorySwap", -1, "swap"),
        ("NanoCpus", 0, "CPUs"),
        ("CpuShares", 1024, "CPU shares"),
        ("PidsLimit", None, "processes"),
        ("RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}, "restart policy"),
    ],
)
def test_each_knob_that_the_engine_lets_others_change(knob: str, value: Any, word: str):
    made = config()
    inspected = joined(as_inspected(made), "none")
    inspected["HostConfig"][knob] = value
    assert changes(SPEC, inspected, "sandboxes") == [word]
    assert [one for one in differences(made, inspected) if knob in one]


def test_on_a_host_that_cannot_limit_swap_that_is_no_change():
    made = config()
    inspected = joined(as_inspected(made), "none")
    inspected["HostConfig"]["MemorySwap"] = -1
    assert changes(SPEC, inspected, "sandboxes", swap_limit=False) == []


def test_what_cannot_be_changed_later_may_be_an_older_versions():
    made = config()
    inspected = joined(as_inspected(made), "none")
    inspected["HostConfig"] |= {"SecurityOpt": ["no-new-privileges"], "ShmSize": 1}
    assert changes(SPEC, inspected, "sandboxes") == []


@pytest.mark.parametrize("network", ["none", "internet"])
def test_another_network_beside_its_own_is_noticed(network: str):
    made = config(network=network)
    inspected = joined(as_inspected(made), made["HostConfig"]["NetworkMode"], "bridge")
    assert changes(replace(SPEC, network=network), inspected, "sandboxes") == ["networks"]
    assert differences(made, inspected) == ["Networks: bridge beside its own"]


def test_that_our_network_has_another_name_by_now_is_no_change():
    made = config(network="internet")
    inspected = joined(as_inspected(made), "sandboxes")
    assert changes(replace(SPEC, network="internet"), inspected, "our-new-name") == []


def joined(inspected: dict[str, Any], *networks: str) -> dict[str, Any]:
    return inspected | {"NetworkSettings": {"Networks": {name: {} for name in networks}}}
