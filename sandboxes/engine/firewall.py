"""The host's rules for the bridge that sandboxes with "internet" are on.

Through them a sandbox reaches the Internet, and neither the host itself, on whichever of its
addresses, nor link-local and metadata addresses. That sandboxes do not reach each other is the
bridge's own setting. Each rule is looked for before it is added, so setting them twice is once.

Sources: iptables(8); "Packet filtering and firewalls" of the Docker manual (DOCKER-USER).
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from .base import Unsupported

_MINUTE = 60
REJECT = ("-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
REJECT6 = ("-j", "REJECT", "--reject-with", "icmp6-adm-prohibited")
"""Said so, a probe tells it from a host that is reached and has nobody at that port (probing.py)."""


@dataclass(frozen=True)
class Rule:
    """One rule: by which tool, in which chain, and what it says."""

    tool: str
    chain: str
    says: tuple[str, ...]

    def argv(self, verb: str) -> list[str]:
        """The command that checks (-C), inserts (-I) or deletes (-D) it."""
        return [self.tool, "-w", verb, self.chain, *self.says]


def rules(bridge: str, refused: Sequence[str], everywhere: bool = False) -> list[Rule]:
    """All of a bridge. ``refused``: networks beyond the host that a sandbox must not reach.

    ``everywhere``: also those by tools that this machine has not got.
    """
    found = [Rule("iptables", "INPUT", ("-i", bridge, *REJECT))]
    if everywhere or shutil.which("ip6tables"):
        found.append(Rule("ip6tables", "INPUT", ("-i", bridge, *REJECT6)))
    for network in refused:
        if ip_network(network).version == 4:  # the bridge routes no other
            found.append(Rule("iptables", "DOCKER-USER", ("-i", bridge, "-d", network, *REJECT)))
    return found


def script(wanted: Sequence[Rule]) -> str:
    """The same as lines for a shell, for a host without this product; no rules of a tool that is missing."""
    return "\n".join(map(_line, wanted))


def _line(rule: Rule) -> str:
    there = f"! command -v {rule.tool} > /dev/null"
    return " || ".join([there, shlex.join(rule.argv("-C")), shlex.join(rule.argv("-I"))])


def missing(wanted: Sequence[Rule]) -> list[Rule]:
    """Those that are not set. Raises Unsupported when this machine cannot tell."""
    return [rule for rule in wanted if not _holds(rule)]


def apply(wanted: Sequence[Rule]) -> list[Rule]:
    """Set what is missing, before all other rules of its chain; returns it. Raises Unsupported."""
    added = missing(wanted)
    for rule in added:
        _must(rule.argv("-I"))
    return added


def remove(wanted: Sequence[Rule]) -> list[Rule]:
    """Take away what is set, however often it is; returns it. Raises Unsupported."""
    return list(_removed(wanted))


def _removed(wanted: Sequence[Rule]) -> Iterator[Rule]:
    for rule in wanted:
        while _holds(rule):
            _must(rule.argv("-D"))
            yield rule


def _holds(rule: Rule) -> bool:
    done = _run(rule.argv("-C"))
    if done.returncode > 1:  # 1 is "no such rule", or no such chain
        raise Unsupported("The host's firewall cannot be read. Run this as root.", done.stderr)
    return done.returncode == 0


def _must(argv: list[str]) -> None:
    done = _run(argv)
    if done.returncode:
        sentence = "The host's firewall could not be changed. Is the Docker Engine running, and are you root?"
        raise Unsupported(sentence, done.stderr)


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=_MINUTE)
    except FileNotFoundError as error:
        raise Unsupported("This machine has no iptables, so the guard cannot be set.", str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise Unsupported("The host's firewall did not answer.", str(error)) from error
