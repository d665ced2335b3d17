"""Fixtures of the doors' tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Whatever is entered here is closed after the test."""
    with ExitStack() as stack:
        yield stack
