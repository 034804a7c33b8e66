"""Which addresses a webhook may reach: never the machine's own helpers, and no further than settings allow.

A name is resolved once and every address it has is judged, as the address it really leads to.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

Address = IPv4Address | IPv6Address

NEVER = tuple(
    ip_network(one)
    for one in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24",
        "100.100.100.200/32", "168.63.129.16/32",  # two clouds' metadata and helpers
        "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::/32",
    )
)  # fmt: skip
"""Link-local, metadata, multicast, and what is no address of a machine."""
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
REACHES = ("public", "private", "local")


class Refused(Exception):
    """Not to be connected to; ``str`` is a sentence for an admin."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, all of them allowed. Raises Refused, and OSError where there are none."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise Refused("This is no host name.") from None
    found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    for one in found:
        why = refusal(ip_address(one.partition("%")[0]))
        if why:
            raise Refused(f"{host} is {one}: {why}")
    return found


def refusal(address: Address) -> str:
    """Why this address is not to be connected to; empty: it is."""
    real = within(address)
    if any(real in network for network in NEVER if network.version == real.version):
        return "link-local, metadata and multicast addresses are never posted to."
    reach = REACHES.index(settings.SANDBOX_WEBHOOK_REACH)
    if real.is_loopback:
        return "" if reach >= 2 else "this machine itself is posted to only with SANDBOX_WEBHOOK_REACH=local."
    if not real.is_global and reach < 1:
        return "private addresses are posted to only with SANDBOX_WEBHOOK_REACH=private."
    return ""


def within(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is not None:
        return inner
    packed = int(address) & 0xFFFFFFFF
    if address in NAT64 or (address in COMPATIBLE and packed > 1):
        return IPv4Address(packed)
    return address
