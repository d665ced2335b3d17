"""Configurations of fail2ban."""

from __future__ import annotations

from pathlib import Path

import pytest

from .tools import Configuration, program


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """A configuration that the test may change."""
    program("fail2ban-client")
    return Configuration(tmp_path)


@pytest.fixture(scope="module")
def filters(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """A configuration for looking only."""
    program("fail2ban-regex")
    return Configuration(tmp_path_factory.mktemp("filters"))
