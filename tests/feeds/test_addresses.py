"""What a webhook may reach, and what never: judged by the address, however it is written."""

import socket
from ipaddress import ip_address

import pytest

from sandboxes.lifecycle.feeds import addresses, posting

NEVER = (
    "169.254.169.254", "169.254.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "fe80::1", "fd00:ec2::254", "::", "ff02::1",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::a9fe:a9fe",
)  # fmt: skip
PRIVATE = ("10.1.2.3", "172.17.0.2", "192.168.0.1", "100.64.0.1", "fd12::1", "::ffff:10.1.2.3")
LOCAL = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")
PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


def judged(settings, reach):
    settings.SANDBOX_WEBHOOK_REACH = reach
    return {one for one in (*NEVER, *PRIVATE, *LOCAL, *PUBLIC) if not addresses.refusal(ip_address(one))}


def test_each_reach_allows_what_it_says(settings):
    assert judged(settings, "public") == set(PUBLIC)
    assert judged(settings, "private") == {*PUBLIC, *PRIVATE}
    assert judged(settings, "local") == {*PUBLIC, *PRIVATE, *LOCAL}


def test_one_bad_address_of_several_refuses_the_name(settings, monkeypatch):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    rows = [(2, 1, 6, "", (one, 80)) for one in ("8.8.8.8", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
    with pytest.raises(addresses.Refused, match=r"169\.254\.169\.254: link-local"):
        addresses.resolve("both.example", 80)


def test_the_name_is_resolved_once_and_what_was_checked_is_connected_to(settings, monkeypatch):
    settings.SANDBOX_WEBHOOK_REACH = "public"
    asked, opened = [], []

    def rebinding(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", ("8.8.8.8" if len(asked) == 1 else "127.0.0.1", port))]

    def connect(address, timeout):
        opened.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    answer = posting.post("http://rebind.example/", "s", "evt_1", b"{}")
    assert (asked, opened) == (["rebind.example"], [("8.8.8.8", 80)])
    assert answer.error == "It cannot be reached."


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "2852039166", "0xa9fea9fe"])
def test_metadata_is_refused_however_it_is_written(settings, host, monkeypatch):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    answer = posting.post(f"http://{host}/latest/meta-data/", "s", "evt_1", b"{}")
    assert "never posted to" in answer.error


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://x/", "starts with https"),
        ("https:///x", "names a host"),
        ("https://user:pw@host/", "no user"),
        ("https://host:port/", "port"),
        ("javascript:alert(1)", "starts with https"),
    ],
)
def test_what_is_no_address_of_a_receiver(url, why):
    with pytest.raises(ValueError, match=why):
        posting.target(url)


def test_a_path_cannot_smuggle_a_header():
    assert posting.target("http://h/a b\r\nX: y?q=ü").path == "/a%20bX:%20y?q=%C3%BC"
