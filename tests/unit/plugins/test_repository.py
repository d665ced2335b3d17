"""A repository of plugins, as a folder and on a real HTTP server: what is wrong hides only itself, and is named."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from provd.errors import RepositoryError
from provd.plugins import repository as repository_module
from provd.plugins.repository import INDEX_NAME, Repository

from .sample import write

ARCHIVE = b"BZh9 not really an archive"
SHA1 = hashlib.sha1(ARCHIVE).hexdigest()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
GOOD = {"filename": "good-1.0.tar.bz2", "version": "1.0", "description": "Good.", "sha256sum": SHA256}

SETTING = "general.plugin_server: "

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def http_server(answer: Answer) -> Iterator[str]:
    """A server on a free port that answers each GET by calling `answer`; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def serving(files: dict[str, bytes]) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = files.get(handler.path)
        send(handler, b"no such file", 404) if body is None else send(handler, body)

    return answer


def index_of(entries: Any) -> bytes:
    return json.dumps(entries).encode()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one plugin."""
    (tmp_path / "good-1.0.tar.bz2").write_bytes(ARCHIVE)
    (tmp_path / INDEX_NAME).write_bytes(index_of({"good": GOOD}))
    return tmp_path


def error_of(location: object, plugin_id: str | None = None) -> str:
    repository = Repository(str(location))
    with pytest.raises(RepositoryError) as caught:
        repository.entries() if plugin_id is None else repository.archive(plugin_id)
    return str(caught.value)


def test_a_plugin_comes_from_a_folder(folder: Path) -> None:
    repository = Repository(f"{folder}/")
    assert [(entry.id, entry.version) for entry in repository.entries().values()] == [("good", "1.0")]
    assert repository.archive("good") == ARCHIVE


def test_a_plugin_comes_from_a_server() -> None:
    files = {"/stable/plugins.db": index_of({"good": GOOD}), "/stable/good-1.0.tar.bz2": ARCHIVE}
    with http_server(serving(files)) as url:
        assert Repository(f"{url}/stable/").archive("good") == ARCHIVE


def test_redirections_are_followed() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/old/"):
            send(handler, b"", 301, Location=handler.path.replace("/old/", "/new/"))
        else:
            serving({"/new/plugins.db": index_of({"good": GOOD})})(handler)

    with http_server(answer) as url:
        assert list(Repository(f"{url}/old").entries()) == ["good"]


@pytest.mark.parametrize("target", ["/plugins.db", "file:///etc/passwd", "gopher://127.0.0.1/"])
def test_redirections_in_a_circle_or_to_other_schemes_are_refused(target: str) -> None:
    with http_server(lambda handler: send(handler, b"", 302, Location=target)) as url:
        assert error_of(url).startswith(f"{SETTING}{url}/plugins.db: ")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {**GOOD, "filename": None},
        {**GOOD, "filename": "../good-1.0.tar.bz2"},
        {**GOOD, "filename": "/etc/passwd"},
        {**GOOD, "filename": "a/b.tar.bz2"},
        {**GOOD, "filename": ".hidden.tar.bz2"},
        {**GOOD, "filename": "good-1.0.zip"},
        {**GOOD, "filename": "good\n.tar.bz2"},
        {**GOOD, "version": 1.0},
        {**GOOD, "sha256sum": None},
        {**GOOD, "sha256sum": 7},
    ],
)
def test_a_wrong_entry_hides_only_itself(folder: Path, entry: Any) -> None:
    (folder / INDEX_NAME).write_bytes(index_of({"bad": entry, "good": GOOD}))
    assert list(Repository(str(folder)).entries()) == ["good"]
    assert error_of(folder, "bad") == f"{SETTING}{folder} has no plugin bad; it has good"


@pytest.mark.parametrize("plugin_id", ["../evil", "", ".hidden", "a b", "a/b", "x" * 101])
def test_an_id_that_is_none_hides_only_itself(folder: Path, plugin_id: str) -> None:
    (folder / INDEX_NAME).write_bytes(index_of({plugin_id: GOOD, "good": GOOD}))
    assert list(Repository(str(folder)).entries()) == ["good"]


@pytest.mark.parametrize("content", [b"", b"{", b"<html>Not found</html>", b"\xff\xfe"])
def test_an_index_that_is_no_json_is_named(folder: Path, content: bytes) -> None:
    (folder / INDEX_NAME).write_bytes(content)
    assert error_of(folder).startswith(f"{SETTING}{folder}/plugins.db: not JSON: ")


def test_an_index_that_is_nested_too_deep_is_named(folder: Path) -> None:
    (folder / INDEX_NAME).write_bytes(b"[" * 100_000)
    assert error_of(folder).startswith(f"{SETTING}{folder}/plugins.db: ")


def test_an_index_that_is_a_list_is_named(folder: Path) -> None:
    (folder / INDEX_NAME).write_bytes(b"[]")
    assert error_of(folder) == f"{SETTING}{folder}/plugins.db: an object is needed"


def test_without_an_index_the_folder_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path / "gone") == f"{SETTING}{tmp_path}/gone has no plugins.db"
    (tmp_path / INDEX_NAME).mkdir()
    assert error_of(tmp_path) == f"{SETTING}{tmp_path}/plugins.db: Is a directory"


@pytest.mark.parametrize(
    ("asked", "names", "listed"),
    [
        ("xivo-aastra", [], "it is empty"),
        ("xivo-aastra", ["xivo-aastra-3.3.1-SP2"], "it has xivo-aastra-3.3.1-SP2"),
        ("xivo-astra-1", ["b", "xivo-yealink-1", "xivo-aastra-1"], "it has xivo-aastra-1, xivo-yealink-1, b"),
    ],
)
def test_who_asks_for_a_plugin_that_is_not_there_is_told_which_are(
    folder: Path, asked: str, names: list[str], listed: str
) -> None:
    (folder / INDEX_NAME).write_bytes(index_of(dict.fromkeys(names, GOOD)))
    assert error_of(folder, asked) == f"{SETTING}{folder} has no plugin {asked}; {listed}"


def test_not_all_of_many_plugins_are_listed(folder: Path) -> None:
    (folder / INDEX_NAME).write_bytes(index_of({f"xivo-{number}": GOOD for number in range(20_000)}))
    message = error_of(folder, "xivo-7-x")
    assert "it has xivo-7, " in message
    assert message.endswith(" and 19990 more")
    assert message.count(",") == 9


def test_sha256_counts_if_both_sums_are_there(folder: Path) -> None:
    for sums, accepted in (
        ({"sha256sum": SHA256.upper(), "sha1sum": "0" * 40}, True),
        ({"sha256sum": "0" * 64, "sha1sum": SHA1}, False),
        ({"sha256sum": None, "sha1sum": SHA1}, True),
        ({"sha256sum": "", "sha1sum": SHA1}, False),
    ):
        (folder / INDEX_NAME).write_bytes(index_of({"good": {**GOOD, **sums}}))
        if accepted:
            assert Repository(str(folder)).archive("good") == ARCHIVE
        else:
            assert "checksum is" in error_of(folder, "good")


@pytest.mark.parametrize("sum_", ["\ud800", "é", "x" * 1000])
def test_a_sum_that_is_none_is_a_wrong_sum(folder: Path, sum_: str) -> None:
    (folder / INDEX_NAME).write_bytes(index_of({"good": {**GOOD, "sha256sum": sum_}}))
    assert "checksum is" in error_of(folder, "good")


def test_a_tampered_or_truncated_archive_is_refused_and_both_sums_are_named(folder: Path) -> None:
    for content in (ARCHIVE + b"!", ARCHIVE[:-1], b""):
        (folder / "good-1.0.tar.bz2").write_bytes(content)
        actual = hashlib.sha256(content).hexdigest()
        assert error_of(folder, "good") == f"good-1.0.tar.bz2: checksum is {actual}, the index says {SHA256}"


def test_a_missing_archive_is_named(folder: Path) -> None:
    (folder / "good-1.0.tar.bz2").unlink()
    assert error_of(folder, "good") == f"{SETTING}{folder} has no good-1.0.tar.bz2"
    with http_server(serving({"/plugins.db": index_of({"good": GOOD})})) as url:
        assert error_of(url, "good") == f"{SETTING}{url}/good-1.0.tar.bz2: 404 Not Found"


def test_what_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "MAX_ARCHIVE_BYTES", len(ARCHIVE) - 1)
    assert error_of(folder, "good") == f"{SETTING}{folder}/good-1.0.tar.bz2: larger than {len(ARCHIVE) - 1} bytes"
    monkeypatch.setattr(repository_module, "MAX_INDEX_BYTES", 10)
    assert error_of(folder) == f"{SETTING}{folder}/plugins.db: larger than 10 bytes"


def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "MAX_INDEX_BYTES", 100_000)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" " * 65536)
        except OSError:
            pass  # the client has heard enough

    with http_server(answer) as url:
        assert "larger than 100000 bytes" in error_of(url)


def test_an_answer_that_breaks_off_is_refused() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, index_of({"good": GOOD})[:-5], Content_Length="1000")

    with http_server(answer) as url:
        assert error_of(url).startswith(f"{SETTING}{url}/plugins.db: ")


def test_nobody_at_that_port_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert error_of(url) == f"{SETTING}{url}/plugins.db: Connection refused"


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert error_of(url) == f"{SETTING}{url}/plugins.db: timed out"


@pytest.mark.parametrize(
    "raw",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
    ids=["no HTTP", "endless header", "chunk that breaks off"],
)
def test_a_server_that_speaks_something_else_is_named(raw: bytes) -> None:
    with http_server(lambda handler: handler.wfile.write(raw) and None) as url:
        assert error_of(url).startswith(f"{SETTING}{url}/plugins.db: ")


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "ftp://127.0.0.1/x",
        pytest.param("http://host:port"),
    ],
)
def test_a_location_that_is_none_is_named(location: str) -> None:
    assert error_of(location).startswith(f"{SETTING}{location}")


def test_the_real_builders_repository_is_understood(tmp_path: Path) -> None:
    write(tmp_path / INDEX_NAME, json.dumps({"good": {**GOOD, "dsize": 1, "capabilities": {}, "sha1sum": SHA1}}))
    assert Repository(str(tmp_path)).entries()["good"].sha1sum == SHA1
