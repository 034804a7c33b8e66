"""The nginx block of docs/how-to/harden.md, run by a real nginx in front of the whole product."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.docs.front import NAME, Front, Visitor, plain
from tests.fakes.processes import wait_until
from tests.faults.site import query

pytestmark = pytest.mark.engine
FLEET = "/ws/sandboxes/"


def test_without_tls_everything_leads_to_tls(site: Front):
    assert plain(site.plain, "/sign-in/?next=/x") == (301, f"https://{NAME}/sign-in/?next=/x")


def test_past_the_proxy_too_and_no_page_is_shown(site: Front):
    assert plain(site.product.port, "/sign-in/") == (301, f"https://{NAME}/sign-in/")


def test_browsers_are_told_to_stay_with_tls(site: Front):
    answer = site.visitor().ask("HEAD", "/sign-in/")
    assert answer.status == 200
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_signing_in_works_and_its_cookies_go_by_tls_only(site: Front):
    answer = site.visitor().sign_in("prof")
    assert answer.place == (303, "/sandboxes/")
    cookies = answer.headers.get_all("Set-Cookie")
    assert {one.partition("=")[0] for one in cookies} == {"csrftoken", "sessionid", "known"}
    assert all("; Secure" in one for one in cookies)


def test_on_record_are_a_visitor_s_own_address_and_nginx_s_own_id_whatever_they_claim(site: Front):
    answer = site.visitor("127.0.0.6").sign_in(
        "bob", X_Forwarded_For="192.0.2.66", X_Request_ID="forged-0001"
    )
    at = ["127.0.0.6", "303"]
    assert wait_until(lambda: any(row[1:] == at for row in site.logged("/sign-in/")), 20)
    given = [row[0] for row in site.logged("/sign-in/") if row[1:] == at]
    assert given == [answer.headers["X-Request-ID"]]
    sql = "SELECT address, actor_name FROM sandboxes_event WHERE action = 'user.sign_in' AND request_id = ?"
    assert query(site.product, sql, given[0]) == [("127.0.0.6", "bob")]


def test_a_form_makes_a_sandbox_and_its_terminal_answers(site: Front, alice: Visitor):
    pk = alice.launch("behind")
    with alice.socket(f"/ws/sandboxes/{pk}/terminals/main/?cols=80&rows=24", site.origin) as shell:
        shell.send(b"echo thr''ough\r")
        seen, until = b"", time.monotonic() + 20
        while b"through" not in seen and time.monotonic() < until:
            got = shell.recv(timeout=20)
            seen += got if isinstance(got, bytes) else b""
    assert b"through" in seen


def test_sockets_open_for_this_scheme_name_and_port_alone(site: Front, alice: Visitor):
    with alice.socket(FLEET, site.origin) as fleet:
        assert fleet.recv(timeout=20)
    port = site.port
    foreign = (f"http://{NAME}:{port}", f"https://other.example.org:{port}", f"https://{NAME}",
               f"https://{NAME}:{site.product.port}", f"https://127.0.0.1:{port}")  # fmt: skip
    for origin in foreign:
        with pytest.raises(InvalidStatus) as refused:
            alice.socket(FLEET, origin)
        assert refused.value.response.status_code == 403, origin


def test_a_form_of_another_site_is_refused(site: Front, alice: Visitor):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://other.example.org"}
    assert alice.ask("POST", "/sign-out/", b"x=1", **headers).status == 403


def test_more_than_eight_mebibytes_are_refused_by_nginx_and_eight_are_ours_to_judge(site: Front):
    visitor, most = site.visitor(), 8 << 20
    answer = visitor.ask("POST", "/sign-in/", **{"Content-Length": str(most + 1)})
    assert (answer.status, "X-Request-ID" in answer.headers) == (413, False)
    answer = visitor.ask("POST", "/sign-in/", b"x" * most)
    assert (answer.status, "X-Request-ID" in answer.headers) == (403, True)
