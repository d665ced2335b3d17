"""Fixtures of the integration tests: the repository of official plugins, running servers, and a look for leaks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.server import RunningServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the official plugins, built as users build it."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([sys.executable, ROOT / "plugins" / "builder.py", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def start_server(tmp_path: Path, repository: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers; at the end each that still runs must be free of leaks and errors, and must stop with 0."""
    servers: list[RunningServer] = []

    def start(**options: object) -> RunningServer:
        server = RunningServer(tmp_path / f"server{len(servers)}", repository, **options)
        servers.append(server)
        return server

    try:
        yield start
        for server in servers:
            if server.process.poll() is None:
                server.assert_free_resources()
                assert server.stop() == 0, server.log()
            server.assert_no_errors()
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server with the Aastra plugin."""
    return start_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[RunningServer]:
    """A server for all tests of a module that do not mind each other; looked at for leaks by `calm_server`."""
    server = RunningServer(tmp_path_factory.mktemp("shared") / "server", repository)
    try:
        yield server
        assert server.stop() == 0, server.log()
        server.assert_no_errors()
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def calm_server(shared_server: RunningServer) -> Iterator[RunningServer]:
    """The module's server; after each test nothing may be left of it."""
    yield shared_server
    shared_server.assert_free_resources()
