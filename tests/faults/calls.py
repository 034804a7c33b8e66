"""The closed list: every call that the product makes to the engine, and what may stand in it.

A call without a row here fails the tests. Paths hold ids of the engine's or of ours and names that an
admin gave, never a person's words; what persons choose stands in bodies, whose shape is compared with
the profile, and as a folder in two queries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sandboxes.engine.base import LABEL_ID, LABEL_INSTALL, ContainerSpec
from sandboxes.engine.hardening import ROOT_SHARE, ImageFacts, create_config, is_pinned
from tests.recording import Call

API = re.compile(r"/v1\.\d\d(?=/)")
CONTAINER = r"/containers/[0-9a-f]{64}"
EXEC = r"/exec/[0-9a-f]{64}"
FOLDER = r"/[^\0]*"
OURS = r'"label": \["sandboxes\.install=[\w-]+"\]\}'


@dataclass(frozen=True)
class Row:
    """A method, a pattern of the whole path, and of each value in the query; ``body`` names its fields."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: frozenset[str] = frozenset()
    raw: bool = False
    """Whether the body is an archive."""


def row(method: str, path: str, body: str = "", /, *, raw: bool = False, **query: str) -> Row:
    return Row(method, path, tuple(query.items()), frozenset(body.split()), raw)


IMAGE = r"/images/(?P<image>[^?]+)"
CLOSED = (
    row("GET", "/version"),
    row("GET", "/_ping"),
    row("GET", "/info"),
    row("GET", "/events", since=r"\d+", filters=r'\{"type": \["container"\], ' + OURS),
    row("GET", "/images/json", only_ids="0", all="0"),
    row("GET", f"{IMAGE}/json"),
    row("POST", "/images/create", tag=r"[\w.-]*", fromImage=r".+"),
    row("POST", "/images/create", raw=True, fromSrc="-", repo=r".+", tag=r".*", changes=r".*"),
    row("GET", "/networks", filters=r'\{"name": \["[\w-]+"\]\}'),
    row("POST", "/networks/create", "Name Driver Options IPAM CheckDuplicate Labels"),
    row("GET", "/containers/json", limit="-1", all="[01]", size="[01]", trunc_cmd="[01]",
        filters=r"\{" + OURS),
    row("POST", "/containers/create", "*", name=r"sandbox-sb_\w+"),
    row("GET", f"(?:{CONTAINER}|/containers/sandbox-sb_\\w+)/json", size="True"),
    row("POST", f"{CONTAINER}/start"),
    row("POST", f"{CONTAINER}/stop", t=r"\d+"),
    row("POST", f"{CONTAINER}/kill", signal="SIGTERM"),
    row("POST", f"{CONTAINER}/pause"),
    row("POST", f"{CONTAINER}/unpause"),
    row("DELETE", CONTAINER, v="True", link="False", force="True"),
    row("GET", f"{CONTAINER}/stats", stream="1"),
    row("GET", f"{CONTAINER}/stats", **{"stream": "False", "one-shot": "True"}),
    row("GET", f"{CONTAINER}/top", ps_args="-o pid,ppid[a-z,]*"),
    row("PUT", f"{CONTAINER}/archive", raw=True, path=FOLDER),
    row("GET", f"{CONTAINER}/archive", path=FOLDER),
    row("POST", f"{CONTAINER}/exec", "Container User Privileged Tty AttachStdin AttachStdout AttachStderr "
        "Cmd Env WorkingDir detachKeys"),
    row("POST", f"{EXEC}/start", "Tty Detach"),
    row("POST", f"{EXEC}/resize", h=r"\d{1,3}", w=r"\d{1,3}"),
    row("GET", f"{EXEC}/json"),
)  # fmt: skip
"""Everything that is ever asked of the engine."""


def fits(one: Row, call: Call, images: Iterable[str] | None = None) -> bool:
    """Whether a call is this row's. ``images``: the names that may stand in a path."""
    parts = urlsplit(call.path)
    found = re.fullmatch(one.path, unquote(API.sub("", parts.path, count=1)))
    if one.method != call.method or not found:
        return False
    named = found.groupdict().get("image")
    if (
        named
        and images is not None
        and named not in images
        and not re.fullmatch("sha256:[0-9a-f]{64}", named)
    ):
        return False
    return _query_fits(one, parts.query) and _body_fits(one, call)


def _query_fits(one: Row, query: str) -> bool:
    wanted, given = dict(one.query), parse_qs(query, keep_blank_values=True)
    return all(_value_fits(wanted, name, values) for name, values in given.items())


def _value_fits(wanted: dict[str, str], name: str, values: list[str]) -> bool:
    """Named in the row, and once, but for what an import is to change."""
    once = len(values) == 1 or name == "changes"
    return name in wanted and once and all(re.fullmatch(wanted[name], one, re.DOTALL) for one in values)


def _body_fits(one: Row, call: Call) -> bool:
    if one.raw or not call.body:
        return one.raw or "*" not in one.body
    body = json.loads(call.body)
    return "*" in one.body or (isinstance(body, dict) and set(body) <= one.body)


def unlisted(calls: Iterable[Call], images: Iterable[str] | None = None) -> list[str]:
    """Method, path and fields of whatever has no row."""
    strange = [call for call in calls if not any(fits(one, call, images) for one in CLOSED)]
    return sorted({f"{call.method} {call.path} {_fields(call)}" for call in strange})


def _fields(call: Call) -> list[str]:
    try:
        return sorted(json.loads(call.body))
    except (ValueError, TypeError):
        return [f"{len(call.body)} bytes"] if call.body else []


REFERENCE = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?|sha256:[0-9a-f]{64}")
"""How an image may be named."""


def strange(calls: Sequence[Call]) -> list[str]:
    """What is wrong with calls of whatever install: not on the list, or a container unlike the profile's."""
    named = {unquote(call.path.partition("/images/")[2].rpartition("/json")[0]) for call in calls}
    images = {one for one in named if REFERENCE.fullmatch(one) and ".." not in one}
    made = [call for call in calls if "/containers/create" in call.path and call.image]
    return unlisted(calls, images) + [text for call in made for text in unlike(call.json(), call.image or {})]


def unlike(body: dict[str, Any], image: Mapping[str, Any]) -> list[str]:
    """In what a create differs from the profile for this image, on whatever network is one of ours."""
    facts = ImageFacts.of(dict(image))
    if not is_pinned(facts.user) and is_pinned(body["User"]):
        facts = replace(facts, numbers=body["User"])  # looked up in the image's own lists
    network = body["HostConfig"]["NetworkMode"]
    if not re.fullmatch(r"(sandboxes|test|none)(-[\w-]+)?", network):
        return [f"network {network}"]
    try:
        return beside_profile(body, body["Labels"][LABEL_INSTALL], facts, network)
    except KeyError as error:
        return [f"no {error.args[0]}"]


def rows_of(calls: Iterable[Call]) -> set[Row]:
    return {one for one in CLOSED for call in calls if fits(one, call)}


def created(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """The body of every create."""
    return [json.loads(call.body) for call in calls if "/containers/create" in call.path]


def beside_profile(body: dict[str, Any], install: str, image: ImageFacts, network: str) -> list[str]:
    """The knobs in which a create differs from what the profile makes of the same few wishes."""
    wanted = create_config(wish(body), install, image, network)
    host, wanted_host = body.pop("HostConfig"), wanted.pop("HostConfig")
    pairs = [(body, wanted), (host, wanted_host)]
    return [key for one, other in pairs for key in {*one, *other} if one.get(key) != other.get(key)]


def wish(body: dict[str, Any]) -> ContainerSpec:
    """What a person may choose, out of a create's body; everything else is the profile's."""
    host = body["HostConfig"]
    limits = {one["Name"]: one["Hard"] for one in host["Ulimits"]}
    is_root = body["User"] == "0:0"
    variables = dict(one.split("=", 1) for one in body["Env"])
    return ContainerSpec(
        sandbox_id=body["Labels"][LABEL_ID], image=body["Image"], memory=host["Memory"],
        cpus=host["NanoCpus"] / 1e9, pids=host["PidsLimit"],
        network="none" if host["NetworkMode"] == "none" else "internet", workdir=body["WorkingDir"],
        environment=variables, shell=body["Entrypoint"][0], root=is_root,
        strict=host["ReadonlyRootfs"], disk=limits["fsize"] * (ROOT_SHARE if is_root else 1),
        hostname=body["Hostname"], runtime=host.get("Runtime", ""),
    )  # fmt: skip


__all__ = [
    *("CLOSED", "LABEL_INSTALL", "ContainerSpec"),
    *("beside_profile", "created", "rows_of", "strange", "unlike", "unlisted", "wish"),
]
