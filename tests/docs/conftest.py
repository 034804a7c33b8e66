"""One product behind one nginx for all tests of what operators type, as the pages have both set up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts import services
from tests.docs.front import Front, Visitor, front


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    services.install()
    with front(tmp_path_factory.mktemp("srv")) as made:
        yield made


@pytest.fixture(scope="package")
def alice(site: Front) -> Visitor:
    """Signed in, from an address of her own."""
    visitor = site.visitor("127.0.0.5")
    assert visitor.sign_in("alice").place == (303, "/sandboxes/")
    return visitor
