"""Real pulls by the real engine, from a registry on loopback: progress, and everything that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandboxes.engine import images
from sandboxes.engine.base import ImageMissing, PullProgress, TimedOut
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.registry import SmallImage, registry
from tests.recording import by_hand

pytestmark = pytest.mark.engine

MB = 1_000_000


@contextmanager
def gone_after(engine: DockerEngine, reference: str) -> Iterator[str]:
    """The reference of an image that is removed afterwards, if it ever came."""
    try:
        yield reference
    finally:
        if engine.has_image(reference):
            with by_hand() as api:
                api.remove_image(reference, force=True)


def test_a_pull_shows_real_progress(docker_engine: DockerEngine):
    image, seen = SmallImage(2 * MB, 1 * MB, 3 * MB), list[PullProgress]()
    with (
        registry(image, pause=0.02) as host,
        gone_after(docker_engine, f"{host}/small:one") as reference,
    ):
        docker_engine.pull(reference, seen.append)
        found = docker_engine.has_image(reference)
    assert found is not None
    assert reference in found.references
    assert found.size >= 6 * MB
    assert len(seen) >= 3
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert any(0 < one.done < one.wanted for one in seen)
    last = seen[-1]
    assert last.done == last.wanted == pytest.approx(image.total, rel=0.01)
    assert [word for word, _, _ in last.layers.values()] == ["Pull complete"] * 3


def test_pulling_what_is_here_is_quick_success(docker_engine: DockerEngine):
    with (
        registry(SmallImage(1000)) as host,
        gone_after(docker_engine, f"{host}/small:one") as reference,
    ):
        docker_engine.pull(reference, lambda _: None)
        docker_engine.pull(reference, lambda _: None)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [("missing", "no such image"), ("closed", "sign-in"), ("half", "broke off")],
)
def test_each_failure_has_its_sentence(docker_engine: DockerEngine, mode: str, sentence: str):
    with registry(SmallImage(1 * MB, 2 * MB), mode) as host:
        with pytest.raises(ImageMissing, match=sentence) as caught:
            docker_engine.pull(f"{host}/small:one", lambda _: None)
        assert host not in str(caught.value)
        assert docker_engine.has_image(f"{host}/small:one") is None
    assert docker_engine.health.unreachable_since is None


def test_a_registry_that_falls_silent_is_timed_out_and_the_engine_is_not(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(images, "_STALL", 1.5)
    with (
        registry(SmallImage(1 * MB), "silent") as host,
        pytest.raises(TimedOut, match="registry has sent nothing"),
    ):
        docker_engine.pull(f"{host}/small:one", lambda _: None)
    assert docker_engine.health.unreachable_since is None


@pytest.mark.parametrize("name", ["UPPER/case", "a b", "x:y:z", "", "-"])
def test_a_name_no_image_can_have(docker_engine: DockerEngine, name: str):
    with pytest.raises(ImageMissing):
        docker_engine.pull(name, lambda _: None)
