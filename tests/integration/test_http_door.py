"""What the phones' HTTP door answers: versions, methods, conversations, validators and ranges."""

from __future__ import annotations

import os
from collections.abc import Callable
from email.utils import formatdate
from time import asctime, gmtime, strftime

import pytest

from tests.integration.clients import HttpPhone, boot, http_get, http_raw
from tests.integration.server import RunningServer

CONTENT = bytes(range(256)) * 8
MODIFIED_S = 1_700_000_000
MODIFIED = formatdate(MODIFIED_S, usegmt=True)


def put_files(server: RunningServer) -> None:
    """Some files whose time is known, for the known phone 127.0.0.1."""
    boot(server.http_port)
    for name, content in (("file", CONTENT), ("empty", b""), ("a.cfg", b"a"), ("b.xml", b"<b/>")):
        path = server.tftpboot() / name
        path.write_bytes(content)
        os.utime(path, (MODIFIED_S, MODIFIED_S))


@pytest.fixture
def server(calm_server: RunningServer) -> RunningServer:
    """The module's server, where 127.0.0.1 is a known phone, with some files."""
    if not (calm_server.tftpboot() / "file").exists():
        put_files(calm_server)
    return calm_server


# --- conversations


def test_many_requests_go_through_one_connection(server: RunningServer) -> None:
    with HttpPhone(server.http_port) as phone:
        for _ in range(300):
            answer = phone.get("/file")
            assert (answer.status, answer.body) == (200, CONTENT)
            assert phone.get("/nothing").status == 404
        assert server.status()["doors"]["http"]["connections"] == 1


def test_requests_may_be_sent_before_the_answers_come(server: RunningServer) -> None:
    names = ["file", "a.cfg", "b.xml", "nothing", "empty", "Aastra"] * 40
    with HttpPhone(server.http_port) as phone:
        phone.send("".join(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n" for name in names).encode())
        answers = [phone.answer() for _ in names]
    bodies = {"file": CONTENT, "a.cfg": b"a", "b.xml": b"<b/>", "empty": b""}
    for name, answer in zip(names, answers, strict=True):
        assert answer.status == {"nothing": 404, "Aastra": 403}.get(name, 200)
        assert name not in bodies or answer.body == bodies[name]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_request_may_come_in_any_pieces(server: RunningServer, size: int) -> None:
    request = b"\r\nGET /file HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n" * 2
    with HttpPhone(server.http_port) as phone:
        for offset in range(0, len(request), size):
            phone.send(request[offset : offset + size])
        assert phone.answer().body == phone.answer().body == CONTENT


def test_curl_uses_its_connection_again(server: RunningServer) -> None:
    url = f"http://127.0.0.1:{server.http_port}/a.cfg"
    answer = http_get(server.http_port, "/a.cfg", "-w", "%{num_connects}", url, "-w", "%{num_connects}")
    assert answer.body.endswith(b"a0"), "no new connection for the second"


@pytest.mark.parametrize(
    ("version", "field", "stays"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: keep-alive", True),
        ("1.1", "Connection: close", False),
        ("1.1", "connection: CLOSE", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: close", False),
        ("1.0", "Connection: Keep-Alive", True),
    ],
)
@pytest.mark.parametrize("path", ["/file", "/nothing"])
def test_the_connection_stays_as_version_and_field_say(
    server: RunningServer, version: str, field: str, stays: bool, path: str
) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(path, field, version=version)
        if stays:
            assert answer.headers.get("connection", "keep-alive") == "keep-alive"
            assert version == "1.1" or "connection" in answer.headers
            assert phone.get("/file").body == CONTENT
        else:
            assert answer.headers["connection"] == "close"
            assert phone.rest() == b""


def test_http_1_0_needs_no_host_and_http_1_1_does(server: RunningServer) -> None:
    assert http_raw(server.http_port, b"GET /a.cfg HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\na")
    assert http_raw(server.http_port, b"GET /a.cfg HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")


# --- methods


@pytest.mark.parametrize("path", ["/file", "/empty", "/nothing", "/Aastra", "/%00"])
def test_head_is_answered_as_get_without_the_body(server: RunningServer, path: str) -> None:
    with HttpPhone(server.http_port) as phone:
        get, head = phone.get(path), phone.get(path, method="HEAD")
        assert (head.status, head.body) == (get.status, b"")
        assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
        assert phone.get("/file").body == CONTENT


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(server: RunningServer, method: str) -> None:
    for path in ("/file", "/nothing"):
        with HttpPhone(server.http_port) as phone:
            target = path if method != "CONNECT" else "x:80"
            answer = phone.get(target, method=method)
            assert answer.status == 405
            assert {"GET", "HEAD"} <= {name.strip() for name in answer.headers["allow"].split(",")}
            assert phone.rest() == b""


def test_uploads_are_refused_and_change_nothing(server: RunningServer) -> None:
    for options in (["-T", "-"], ["--data-binary", "x" * 100_000], ["-X", "DELETE"], ["-F", "a=b"]):
        answer = http_get(server.http_port, "/file", *options, "-H", "Expect:")
        assert answer.status == 405
    assert (server.tftpboot() / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["*", "/", "/file", "/nothing"])
def test_options_tells_the_methods(server: RunningServer, target: str) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(target, method="OPTIONS")
        assert answer.status == 200
        assert {"GET", "HEAD"} <= {name.strip() for name in answer.headers["allow"].split(",")}
        assert phone.get("/file").status == 200


# --- validators


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (lambda etag: f"If-None-Match: {etag}", 304),
        (lambda etag: f"If-None-Match: W/{etag}", 304),
        (lambda etag: f'If-None-Match: "other", {etag}', 304),
        (lambda etag: "If-None-Match: *", 304),
        (lambda etag: 'If-None-Match: "other"', 200),
        (lambda etag: "If-None-Match: " + etag.strip('"'), 200),
        (lambda etag: f'If-None-Match: "other"\r\nIf-Modified-Since: {MODIFIED}', 200),
        (lambda etag: f"If-None-Match: {etag}\r\nIf-Modified-Since: {formatdate(0, usegmt=True)}", 304),
        (lambda etag: f"If-Modified-Since: {MODIFIED}", 304),
        (lambda etag: f"If-Modified-Since: {formatdate(MODIFIED_S + 3600, usegmt=True)}", 200),
        (lambda etag: f"If-Modified-Since: {formatdate(MODIFIED_S - 1, usegmt=True)}", 200),
        (lambda etag: f"If-Modified-Since: {strftime('%A, %d-%b-%y %H:%M:%S GMT', gmtime(MODIFIED_S))}", 304),
        (lambda etag: "If-Modified-Since: yesterday", 200),
        (lambda etag: "If-Modified-Since: Mon, 99 Foo 99999 99:99:99 GMT", 200),
        (lambda etag: "If-Modified-Since:", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_the_phone_has_already_is_not_sent_again(
    server: RunningServer, condition: Callable[[str], str], status: int, method: str
) -> None:
    with HttpPhone(server.http_port) as phone:
        first = phone.get("/file")
        assert first.headers["last-modified"] == MODIFIED
        answer = phone.get("/file", condition(first.headers["etag"]), method=method)
        assert answer.status == status
        assert answer.headers["etag"] == first.headers["etag"]
        assert answer.body == (CONTENT if (status, method) == (200, "GET") else b"")
        assert phone.get("/a.cfg").body == b"a"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (lambda etag: f"If-Match: {etag}", 200),
        (lambda etag: f'If-Match: "other", {etag}', 200),
        (lambda etag: "If-Match: *", 200),
        (lambda etag: 'If-Match: "other"', 412),
        (lambda etag: f"If-Match: W/{etag}", 412),
        (lambda etag: f"If-Unmodified-Since: {MODIFIED}", 200),
        (lambda etag: f"If-Unmodified-Since: {formatdate(MODIFIED_S - 1, usegmt=True)}", 412),
        (lambda etag: "If-Unmodified-Since: rubbish", 200),
    ],
)
def test_a_file_that_the_phone_does_not_expect_is_not_sent(
    server: RunningServer, condition: Callable[[str], str], status: int
) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get("/file", condition(phone.get("/file").headers["etag"]))
        assert (answer.status, answer.body) == (status, CONTENT if status == 200 else b"")
        assert phone.get("/a.cfg").body == b"a"


@pytest.mark.parametrize(("zone", "moment_s", "status"), [("EST5", MODIFIED_S - 3600, 200), ("JST-9", MODIFIED_S, 304)])
def test_dates_in_the_form_of_asctime_are_universal_time(
    start_server: Callable[..., RunningServer], zone: str, moment_s: int, status: int
) -> None:
    """A recipient must understand them (RFC 9110 section 5.6.7)."""
    server = start_server(environment={"TZ": zone})
    put_files(server)
    with HttpPhone(server.http_port) as phone:
        assert phone.get("/file", f"If-Modified-Since: {asctime(gmtime(moment_s))}").status == status


def test_the_tag_changes_with_the_file(server: RunningServer) -> None:
    path = server.tftpboot() / "changing"
    tags = set()
    with HttpPhone(server.http_port) as phone:
        for number, content in enumerate((b"one", b"two", b"three")):
            path.write_bytes(content)
            os.utime(path, ns=(0, number))
            tags.add(phone.get("/changing").headers["etag"])
        path.with_name("new").write_bytes(b"three")
        os.utime(path.with_name("new"), ns=(0, 2))
        path.with_name("new").rename(path)
        tags.add(phone.get("/changing").headers["etag"])
    assert len(tags) == 4


def test_a_phone_gets_the_older_file_that_has_come_in_the_place_of_a_newer_one(server: RunningServer) -> None:
    path = server.tftpboot() / "restored"
    with HttpPhone(server.http_port) as phone:
        for content, age_s in ((b"newer", 0), (b"older", 86_400)):
            path.write_bytes(content)
            os.utime(path, (MODIFIED_S - age_s, MODIFIED_S - age_s))
            assert phone.get("/restored", *([f"If-Modified-Since: {MODIFIED}"] if age_s else [])).body == content


# --- ranges


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("0-0", 0, 0), ("0-99", 0, 99), ("100-", 100, 2047), ("2047-", 2047, 2047), ("-1", 2047, 2047),
        ("-100", 1948, 2047), ("-99999", 0, 2047), ("0-99999", 0, 2047), ("0-2047", 0, 2047),
        ("1000-1000", 1000, 1000), ("0000-007", 0, 7),
    ],
)  # fmt: skip
def test_a_range_of_a_file_is_sent(server: RunningServer, wanted: str, first: int, last: int) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get("/file", f"Range: bytes={wanted}")
        assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/2048"
        assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("path", "wanted"), [("/file", "2048-"), ("/file", "9999-10000"), ("/file", "-0"), ("/empty", "0-")]
)
def test_a_range_that_cannot_be_had_is_refused(server: RunningServer, path: str, wanted: str) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(path, f"Range: bytes={wanted}")
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["content-range"] == ("bytes */2048" if path == "/file" else "bytes */0")
        assert phone.get("/a.cfg").body == b"a"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=5-3", "bytes=-", "bytes=", "bytes", "bytes=a-b", "bytes=0-1,5-6", "bytes=--1", "bytes=1-2-3", "",
        "items=0-5", "bytes=0-5;x", "bytes=0x0-0x5", "bytes=\xb2-\xb3",
        pytest.param("bytes=" + "0-0," * 500 + "1-1", id="many"),
    ],
)  # fmt: skip
def test_a_range_of_another_form_is_answered_with_the_whole_file(server: RunningServer, wanted: str) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get("/file", f"Range: {wanted}")
        assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (lambda etag: etag, 206),
        (lambda etag: MODIFIED, 206),
        (lambda etag: '"other"', 200),
        (lambda etag: f"W/{etag}", 200),
        (lambda etag: formatdate(MODIFIED_S + 1, usegmt=True), 200),
        (lambda etag: formatdate(MODIFIED_S - 1, usegmt=True), 200),
        (lambda etag: "rubbish", 200),
    ],
)
def test_a_range_of_another_state_of_the_file_is_not_sent(
    server: RunningServer, condition: Callable[[str], str], status: int
) -> None:
    with HttpPhone(server.http_port) as phone:
        etag = phone.get("/file").headers["etag"]
        answer = phone.get("/file", "Range: bytes=0-9", f"If-Range: {condition(etag)}")
        assert (answer.status, answer.body) == (status, CONTENT[:10] if status == 206 else CONTENT)
