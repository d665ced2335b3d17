"""An application with the Sample plugin, for each test its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..plugins.sample import write_plugin
from .house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    write_plugin(tmp_path / "plugins")
    house = House(tmp_path)
    yield house
    house.close()
