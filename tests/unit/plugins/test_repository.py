"""A repository of plugins, as a folder and on a real web server: what is wrong hides only itself, and is named."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from provd.errors import RepositoryError
from provd.plugins import repository as repository_module
from provd.plugins import watch
from provd.plugins.index import INDEX_NAME
from provd.plugins.repository import Cache, Repository

from .sample import write
from .web_server import http_server, send, serving

ARCHIVE = b"BZh9 not really an archive"
SHA1 = hashlib.sha1(ARCHIVE).hexdigest()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
GOOD = {"filename": "good-1.0.tar.bz2", "version": "1.0", "description": "Good.", "sha256sum": SHA256}

SETTING = "general.plugin_server: "

def index_of(entries: Any) -> bytes:
    return json.dumps(entries).encode()


@pytest.fixture(autouse=True)
def _proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the settings say which proxies there are."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one plugin."""
    (tmp_path / "good-1.0.tar.bz2").write_bytes(ARCHIVE)
    (tmp_path / INDEX_NAME).write_bytes(index_of({"good": GOOD}))
    return tmp_path


def remote(url: str, state: Path, keeps: bool = True) -> Repository:
    return Repository(url, plugins_folder=state / "plugins", cache=Cache(state / "cache", keeps))


def error_of(location: object, plugin_id: str | None = None) -> str:
    """Of a repository that is a folder."""
    repository = Repository(str(location))
    with pytest.raises(RepositoryError) as caught:
        repository.entries() if plugin_id is None else repository.archive(plugin_id)
    return str(caught.value)


def update_error(url: str, state: Path) -> str:
    with pytest.raises(RepositoryError) as caught:
        remote(url, state).update()
    assert not (state / "plugins" / INDEX_NAME).exists()
    return str(caught.value)


def test_a_plugin_comes_from_a_folder(folder: Path) -> None:
    repository = Repository(f"{folder}/")
    assert [(entry.id, entry.version) for entry in repository.entries().values()] == [("good", "1.0")]
    assert repository.archive("good") == ARCHIVE


def test_a_plugin_comes_from_a_server(state: Path) -> None:
    files = {"/stable/plugins.db": index_of({"good": GOOD}), "/stable/good-1.0.tar.bz2": ARCHIVE}
    with http_server(serving(files)) as url:
        repository = remote(f"{url}/stable/", state)
        assert repository.entries() == {}  # nobody has asked it yet
        assert list(repository.update().entries) == ["good"]
        assert repository.archive("good") == ARCHIVE
    assert (state / "plugins/plugins.db").read_bytes() == files["/stable/plugins.db"]
    assert (state / "cache/good-1.0.tar.bz2").read_bytes() == ARCHIVE
    assert remote(url, state).archive("good") == ARCHIVE  # the server is gone


def test_redirections_are_followed(state: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/old/"):
            send(handler, b"", 301, Location=handler.path.replace("/old/", "/new/"))
        else:
            serving({"/new/plugins.db": index_of({"good": GOOD})})(handler)

    with http_server(answer) as url:
        assert list(remote(f"{url}/old", state).update().entries) == ["good"]


@pytest.mark.parametrize("target", ["/plugins.db", "file:///etc/passwd", "gopher://127.0.0.1/", "http://[", ""])
def test_redirections_in_a_circle_or_to_other_schemes_are_refused(target: str, state: Path) -> None:
    with http_server(lambda handler: send(handler, b"", 302, Location=target)) as url:
        assert update_error(url, state).startswith(f"{SETTING}{url}/plugins.db: redirects ")


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
        where = f"{folder}/good-1.0.tar.bz2"
        assert error_of(folder, "good") == f"{where}: checksum is {actual}, {SHA256} is expected"


def test_a_missing_archive_is_named(folder: Path) -> None:
    (folder / "good-1.0.tar.bz2").unlink()
    assert error_of(folder, "good") == f"{SETTING}{folder} has no good-1.0.tar.bz2"


def test_an_archive_that_is_missing_on_the_server_is_named_with_advice(state: Path) -> None:
    with http_server(serving({"/plugins.db": index_of({"good": GOOD})})) as url:
        repository = remote(url, state)
        repository.update()
        with pytest.raises(RepositoryError, match=r"/good-1.0.tar.bz2: 404 Not Found; if .*, update that"):
            repository.archive("good")


def test_what_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "MAX_ARCHIVE_BYTES", len(ARCHIVE) - 1)
    assert error_of(folder, "good") == f"{SETTING}{folder}/good-1.0.tar.bz2: larger than {len(ARCHIVE) - 1} bytes"
    monkeypatch.setattr(repository_module, "MAX_INDEX_BYTES", 10)
    assert error_of(folder) == f"{SETTING}{folder}/plugins.db: larger than 10 bytes"


def test_an_endless_answer_ends(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_module, "MAX_INDEX_BYTES", 100_000)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65536)

    with http_server(answer) as url:
        assert "larger than 100000 bytes" in update_error(url, state)


def test_an_answer_that_breaks_off_is_refused(state: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, index_of({"good": GOOD})[:50], Content_Length="1000")

    with http_server(answer) as url:
        assert update_error(url, state) == f"{SETTING}{url}/plugins.db: breaks off after 50 of 1000 bytes"


def test_nobody_at_that_port_is_named_with_advice(state: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        message = update_error(url, state)
    assert message.startswith(f"{SETTING}{url}/plugins.db: Connection refused; see whether ")
    assert "general.http_proxy" in message


def test_a_server_that_says_nothing_is_given_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(watch, "_POLL_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert update_error(url, state).startswith(f"{SETTING}{url}/plugins.db: timed out")


@pytest.mark.parametrize(
    "raw",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000_000,
        b"",
    ],
    ids=["no HTTP", "endless header", "chunk that breaks off", "a part", "endless patience", "nothing"],
)
def test_a_server_that_speaks_something_else_is_named(
    raw: bytes, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_module, "MAX_INDEX_BYTES", 1000)
    with http_server(lambda handler: handler.wfile.write(raw) and None) as url:
        assert update_error(url, state).startswith(f"{SETTING}{url}/plugins.db: ")


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port"])
def test_a_url_that_is_none_is_named(url: str, state: Path) -> None:
    assert update_error(url, state).startswith(f"{SETTING}{url}")


def test_what_is_neither_a_folder_nor_a_url_is_named() -> None:
    assert error_of("ftp://127.0.0.1/x").startswith(f"{SETTING}ftp://127.0.0.1/x")


def test_a_user_and_password_are_told_to_the_server_and_to_nobody_else(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Authorization"))
        serving({"/plugins.db": index_of({"good": GOOD, "bad": None})})(handler)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Authorization"))
        send(handler, b"", 302, Location=f"{other}{handler.path}")

    with http_server(elsewhere) as other, http_server(answer) as url, caplog.at_level(logging.DEBUG):
        repository = remote(url.replace("//", "//joe:s%40cret@"), state)
        repository.update()
        with pytest.raises(RepositoryError) as caught:
            repository.archive("good")
    assert heard[:2] == ["Basic am9lOnNAY3JldA==", None]
    for text in (str(caught.value), caplog.text, repository.location):
        assert "joe" not in text
        assert "cret" not in text
    assert repository.location == url


# --- the last list


def test_an_update_that_fails_leaves_the_last_list(state: Path) -> None:
    bodies = [index_of({"good": GOOD}), b"<html>", b"[]", index_of({"newer": GOOD})]
    with http_server(lambda handler: send(handler, bodies.pop(0))) as url:
        repository = remote(url, state)
        repository.update()
        for _ in range(2):
            with pytest.raises(RepositoryError):
                repository.update()
            assert list(repository.entries()) == ["good"]
        repository.update()
    assert list(repository.entries()) == ["newer"]
    assert [path.name for path in (state / "plugins").iterdir()] == [INDEX_NAME]


def test_a_list_that_cannot_be_written_is_named(state: Path) -> None:
    write(state / "plugins", "a file")
    with http_server(serving({"/plugins.db": b"{}"})) as url, pytest.raises(RepositoryError) as caught:
        remote(url, state).update()
    assert str(caught.value) == f"{state}/plugins/plugins.db: cannot be written: File exists"


# --- the cache


@pytest.fixture
def listed(state: Path) -> Path:
    """The state of a server that has a list, and a repository that is gone."""
    write(state / "plugins" / INDEX_NAME, json.dumps({"good": GOOD}))
    return state


GONE = "http://127.0.0.1:1"


def test_an_archive_may_be_put_into_the_cache_by_hand(listed: Path) -> None:
    write(listed / "cache/good-1.0.tar.bz2", ARCHIVE.decode())
    assert remote(GONE, listed, keeps=False).archive("good") == ARCHIVE
    assert (listed / "cache/good-1.0.tar.bz2").exists()  # whoever put it there may want it again


@pytest.mark.parametrize("content", [b"", ARCHIVE[:-1], ARCHIVE + b"!", b"x" * len(ARCHIVE)])
def test_a_damaged_archive_in_the_cache_is_fetched_again(
    listed: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cached = listed / "cache/good-1.0.tar.bz2"
    cached.parent.mkdir()
    cached.write_bytes(content)
    with pytest.raises(RepositoryError, match="Connection refused"):
        remote(GONE, listed).archive("good")
    assert "cached archive not used" in caplog.text
    with http_server(serving({"/good-1.0.tar.bz2": ARCHIVE})) as url:
        assert remote(url, listed).archive("good") == ARCHIVE
    assert cached.read_bytes() == ARCHIVE


def test_a_cache_that_is_a_folder_or_unreadable_is_no_obstacle(listed: Path) -> None:
    (listed / "cache/good-1.0.tar.bz2").mkdir(parents=True)
    with http_server(serving({"/good-1.0.tar.bz2": ARCHIVE})) as url, pytest.raises(RepositoryError) as caught:
        remote(url, listed).archive("good")
    assert f"{listed}/cache/good-1.0.tar.bz2: cannot be written: Is a directory" in str(caught.value)


def test_without_a_cache_nothing_stays(listed: Path) -> None:
    with http_server(serving({"/good-1.0.tar.bz2": ARCHIVE})) as url:
        assert remote(url, listed, keeps=False).archive("good") == ARCHIVE
    assert list((listed / "cache").iterdir()) == []


def test_a_wrong_archive_of_a_server_is_not_kept(listed: Path) -> None:
    with http_server(serving({"/good-1.0.tar.bz2": b"other"})) as url, pytest.raises(RepositoryError) as caught:
        remote(url, listed).archive("good")
    assert "the server has another file than the one that is wanted" in str(caught.value)
    assert list((listed / "cache").iterdir()) == []


def test_the_real_builders_repository_is_understood(tmp_path: Path) -> None:
    write(tmp_path / INDEX_NAME, json.dumps({"good": {**GOOD, "dsize": 1, "capabilities": {}, "sha1sum": SHA1}}))
    assert Repository(str(tmp_path)).entries()["good"].sha1sum == SHA1
