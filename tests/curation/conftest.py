"""What several tests of curation need."""

from collections.abc import Iterator

import pytest

from tests.curation.site import Server


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.stop()
