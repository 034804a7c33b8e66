"""The stream of a pull: progress, and the sentences for what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.engine.base import ImageMissing, NoCapacity, PullProgress
from sandboxes.engine.images import follow
from sandboxes.engine.pulling import Pull, pull_error


def said(layer: str, word: str, current: int | None = None, total: int | None = None) -> Any:
    detail = {"current": current, "total": total}
    return {
        "id": layer,
        "status": word,
        "progressDetail": {key: value for key, value in detail.items() if value is not None},
    }


def after(*messages: Any) -> PullProgress:
    pull = Pull()
    for message in messages:
        pull.feed(message)
    return pull.progress()


def test_layers_add_up():
    now = after(
        {"id": "20-alpine", "status": "Pulling from library/node"},
        said("aa", "Pulling fs layer"),
        said("bb", "Already exists"),
        said("aa", "Downloading", 30, 100),
        said("cc", "Downloading", 5, 10),
    )
    assert (now.done, now.wanted) == (35, 110)
    assert now.layers == {
        "aa": ("Downloading", 30, 100),
        "bb": ("Already exists", 0, 0),
        "cc": ("Downloading", 5, 10),
    }


def test_unpacking_does_not_take_bytes_back():
    now = after(
        said("aa", "Downloading", 90, 100),
        said("aa", "Download complete"),
        said("aa", "Extracting", 10, 100),
    )
    assert now.layers == {"aa": ("Extracting", 100, 100)}


def test_an_unknown_total_is_never_less_than_what_came():
    now = after(said("aa", "Downloading", 30, -1), said("bb", "Downloading", 7))
    assert (now.done, now.wanted) == (37, 37)


def test_the_last_lines_are_no_layers():
    now = after(
        {"status": "Digest: sha256:abc"},
        {"status": "Status: Downloaded newer image for node:20-alpine"},
    )
    assert now == PullProgress(0, 0, {})


def test_an_error_inside_the_stream_is_an_error():
    with pytest.raises(ImageMissing, match="broke off"):
        after({"error": "unexpected EOF", "errorDetail": {"message": "unexpected EOF"}})
    with pytest.raises(NoCapacity):
        after({"errorDetail": {"message": "write /var/lib/x: no space left on device"}})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("manifest for x:nope not found: manifest unknown: manifest unknown", "no such image"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "private"),
        ("Head https://r/v2/x: unauthorized: authentication required", "sign-in"),
        ("Get https://r/v2/: no basic auth credentials", "sign-in"),
        ("denied: requested access to the resource is denied", "sign-in"),
        ("Get https://r/v2/: dial tcp: lookup r on 1.1.1.1:53: no such host", "offline"),
        ("Get https://r/v2/: dial tcp 1.2.3.4:443: connect: network is unreachable", "offline"),
        ("Get https://r/v2/: dial tcp 1.2.3.4:443: i/o timeout", "offline"),
        ("proxyconnect tcp: dial tcp 1.2.3.4:3128: connection refused", "offline"),
        ("net/http: TLS handshake timeout", "offline"),
        ("x509: certificate signed by unknown authority", "certificate"),
        ("toomanyrequests: You have reached your pull rate limit.", "pause"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "kind of machine"),
        ("filesystem layer verification failed for digest sha256:abc", "broke off"),
        ("invalid reference format: repository name must be lowercase", "valid image name"),
        ("something new", "could not be pulled"),
    ],
)
def test_each_cause_has_its_sentence_and_no_engine_text(text: str, sentence: str):
    error = pull_error(text)
    assert isinstance(error, ImageMissing)
    assert sentence in str(error)
    assert error.detail == text
    assert text not in str(error)


def test_progress_is_told_four_times_a_second_and_at_the_end():
    told: list[PullProgress] = []
    ticks = iter(range(10_000))
    messages = [said("aa", "Downloading", done, 100) for done in range(1, 101)]
    follow(messages, told.append, clock=lambda: next(ticks) / 100)
    assert 3 <= len(told) <= 12
    assert told[-1].done == 100
