"""One post: signed so that a receiver can tell, and over when it has to be."""

import json
import socket
import threading

import pytest

from sandboxes.lifecycle.feeds import posting
from sandboxes.models.webhook import new_secret

from .receiver import verify

SECRET = new_secret()


def post(url, body=b'{"type":"x"}'):
    return posting.post(url, SECRET, "evt_1", body)


def test_a_receiver_can_check_the_signature(receiver):
    answer = post(receiver.url)
    assert (answer.status, answer.error, answer.is_down) == (204, "", False)
    ((headers, body),) = receiver.got
    assert verify(SECRET, headers, body) == {"type": "x"}
    assert headers["content-type"] == "application/json"


def test_what_was_changed_on_the_way_or_sent_again_later_is_noticed(receiver):
    post(receiver.url)
    ((headers, body),) = receiver.got
    changes = (
        (headers, body + b" "),
        (headers | {"webhook-id": "evt_2"}, body),
        (headers | {"webhook-timestamp": "1"}, body),
    )
    for headers_, body_ in changes:
        with pytest.raises(AssertionError):
            verify(SECRET, headers_, body_)
    old = posting.signed(SECRET, "evt_1", body, 1_000_000)
    with pytest.raises(AssertionError):
        verify(SECRET, old, body)


def test_known_words_of_the_standard():
    """The example of the Standard Webhooks specification's reference implementations."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    name, at, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    signature = posting.signed(secret, name, body, at)["webhook-signature"]
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "down"), [(400, False), (401, False), (410, False), (429, True), (503, True)]
)
def test_what_is_no_success(receiver, status, down):
    receiver.will(status, b"no <b>room</b>\x1b[31m")
    answer = post(receiver.url)
    assert (answer.status, answer.went_well, answer.is_down) == (status, False, down)
    assert answer.error == f"It answered {status}."
    assert answer.text == "no <b>room</b>\\u001b[31m"


def test_a_redirect_is_not_followed(receiver):
    receiver.will(307, b"", location=receiver.url)
    answer = post(receiver.url)
    assert "redirects are not followed" in answer.error
    assert len(receiver.got) == 1


def test_only_the_beginning_of_an_answer_is_kept(receiver):
    receiver.will(200, b"x" * 1_000_000)
    assert len(post(receiver.url).text) == 200


def test_it_waits_as_long_as_it_is_asked_to_and_no_longer(receiver):
    for header, seconds in (("120", 120), ("999999", 3600), ("soon", 0), ("-1", 0)):
        receiver.will(503, b"", retry_after=header)
        assert post(receiver.url).wait == seconds


def test_who_accepts_and_says_nothing_is_left(settings, monkeypatch):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    monkeypatch.setattr(posting, "CONNECT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = post(f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert (answer.status, answer.error, answer.is_down) == (None, "It did not answer in time.", True)


def test_who_answers_a_byte_at_a_time_is_left_too(settings, monkeypatch):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    monkeypatch.setattr(posting, "WHOLE", 0.5)
    over = threading.Event()

    def drip(server):
        connection, _ = server.accept()
        while not over.wait(0.05):
            try:
                connection.sendall(b"H")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        over.set()
        thread.join(5)
    assert not answer.went_well
    assert answer.duration < 3000


def test_nobody_there(settings):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = post(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.error) == (None, "It cannot be reached.")


def test_something_else_than_http(settings):
    settings.SANDBOX_WEBHOOK_REACH = "local"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk():
            connection, _ = server.accept()
            connection.recv(9)
            connection.sendall(b"SSH-2.0-x\r\n")
            connection.close()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(5)
    assert answer.error in ("It answered with something else than HTTP.", "It cannot be reached.")


def test_a_proxy_of_the_environment_is_not_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert post(receiver.url).went_well


def test_the_secret_is_nowhere_in_what_is_sent(receiver):
    post(receiver.url)
    assert SECRET not in json.dumps(receiver.got[0][0]) + receiver.got[0][1].decode()
