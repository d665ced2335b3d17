"""The fixtures of the integration tests, and a server that is guarded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.guard import Guard
from tests.integration.conftest import repository, shared_server  # noqa: F401  (fixtures)
from tests.integration.server import RunningServer


@pytest.fixture(scope="module")
def guard(shared_server: RunningServer) -> Iterator[Guard]:  # noqa: F811
    """The module's server with its good file and its secrets; at the end nothing may be left of what was done."""
    guard = Guard(shared_server)
    yield guard
    guard.assert_unharmed()
