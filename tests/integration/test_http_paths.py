"""Which file a path means by HTTP, and which paths mean none."""

from __future__ import annotations

import os

import pytest

from tests.integration.clients import HttpPhone, boot, http_get, http_raw
from tests.integration.server import RunningServer

CONTENT = b"a file for phones"
SECRET = b"kept outside the phones' files"


@pytest.fixture
def server(calm_server: RunningServer) -> RunningServer:
    """The module's server, where 127.0.0.1 is a known phone, with files that it may have and one that it may not."""
    tftpboot = calm_server.tftpboot()
    if not (tftpboot / "file").exists():
        boot(calm_server.http_port)
        outside = tftpboot.parent / "tftpboot-evil"
        outside.mkdir()
        (outside / "x").write_bytes(SECRET)
        for name in ("file", "with blank", "f\u00e9", "a+b", "50%", "back\\slash", ".hidden"):
            (tftpboot / name).write_bytes(CONTENT)
        (tftpboot / "folder").mkdir()
        (tftpboot / "folder" / "deep").write_bytes(CONTENT)
        (tftpboot / "link-outside").symlink_to(outside / "x")
        (tftpboot / "folder-outside").symlink_to(outside)
        (tftpboot / "link-inside").symlink_to("folder/deep")
        os.mkfifo(tftpboot / "fifo")
    return calm_server


@pytest.mark.parametrize(
    "path",
    [
        "/file",
        "//file",
        "////file",
        "/./file",
        "/././/file",
        "/file?",
        "/file?mac=00085D237429&x=../../y",
        "/file?%00",
        "/file??/../..",
        "/%66ile",
        "/%66%69%6C%65",
        "/%2Ffile",
        "/with%20blank",
        "/f%C3%A9",
        "/a+b",
        "/50%",
        "/50%25",
        "/back%5Cslash",
        "/folder/deep",
        "/folder//deep",
        "/folder%2fdeep",
        "/link-inside",
        "http://example.com/file",
        "http://example.com:8667//file?x",
        "HTTP://127.0.0.1/file",
        "https://[::1]:1/file",
    ],
)
def test_spellings_of_a_name_mean_its_file(server: RunningServer, path: str) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(path)
        assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 403),
        ("//", 403),
        ("/.", 403),
        ("/?file", 403),
        ("/folder", 403),
        ("/folder/", 403),
        ("/folder?x", 403),
        ("http://example.com", 403),
        ("/nothing", 404),
        ("/FILE", 404),
        ("/file.", 404),
        ("/file%20", 404),
        ("/file%0a", 404),
        ("/file/below", 404),
        ("/folder/nothing", 404),
        ("/.hidden", 404),
        ("/folder/.hidden", 404),
        ("/fifo", 404),
        ("/link-outside", 404),
        ("/folder-outside/x", 404),
        ("/%2566ile", 404),
        ("/with+blank", 404),
        ("/%zz", 404),
        ("/%", 404),
        ("/%u0066ile", 404),
        ("/%00", 400),
        ("/file%00", 400),
        ("/file%00.cfg", 400),
        ("/%E9", 400),
        ("/%ff%fe", 400),
        ("ftp://example.com/file", 400),
        ("*", 400),
        pytest.param("/" + "n" * 256, 414, id="256 letters"),
        pytest.param("/" + "%6e" * 256, 414, id="256 quoted letters"),
        pytest.param("/" + "d/" * 600, 414, id="600 folders"),
        pytest.param("/" + "n" * 2100, 414, id="2100 letters"),
        pytest.param("/?" + "q" * 2100, 414, id="long query"),
        pytest.param("/" + "n" * 60_000, 414, id="60,000 letters"),
    ],
)
def test_other_paths_are_refused_with_the_status_that_says_why(server: RunningServer, path: str, status: int) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(path)
        assert answer.status == status
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.body


UPWARDS = [
    "..", "%2e%2e", "%2E.", ".%2e", "..%2f..", "../..", "%2e%2e%2f%2e%2e", "./..", "/..", "folder/../..",
    "folder/%2e%2e/..", "nothing/../..", "..//", "..%2F", "%2f..", "././../.", "../../../../../../../../../..",
]  # fmt: skip
NOT_UPWARDS = [
    "..%5c", "..\\", "%5c..%5c", "..%5c..", "%252e%252e", "..%252f", "%25%32%65%25%32%65", "..;", "...", "....",
    "..%20", "..%0d%0a", ".%09.", "..%c2%a0", "%u002e%u002e", "0x2e0x2e", "~", "-evil", "C:", "..%3b",
    "%ef%bc%8e%ef%bc%8e", "%e2%80%a5",
]  # fmt: skip
MALFORMED = ["%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae", "..%c0%af", "..%c1%9c", "..%00", "%00..", "%fe%fe"]
"""Overlong and other bad UTF-8, and NUL."""


@pytest.mark.parametrize(
    ("upwards", "status"),
    [(each, 400) for each in UPWARDS + MALFORMED] + [(each, 404) for each in NOT_UPWARDS],
)
@pytest.mark.parametrize("target", ["/{}/tftpboot-evil/x", "//{}/tftpboot-evil/x", "http://x/{}/tftpboot-evil/x"])
def test_no_spelling_of_a_way_upwards_leads_there(
    server: RunningServer, upwards: str, status: int, target: str
) -> None:
    with HttpPhone(server.http_port) as phone:
        answer = phone.get(target.format(upwards))
        assert SECRET not in answer.body
        assert answer.status == status


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "//etc/passwd", "file:///etc/passwd", "/proc/self/environ", "etc/passwd"]
)
def test_the_servers_own_files_are_not_served(server: RunningServer, target: str) -> None:
    with HttpPhone(server.http_port) as phone:
        assert phone.get(target).status in (400, 404)


def test_curl_is_told_in_words(server: RunningServer) -> None:
    assert http_get(server.http_port, "/nothing").body == b"No such file for this phone.\n"
    assert http_get(server.http_port, "/folder").body == b"This is a directory.\n"
    assert http_get(server.http_port, "/file", source="127.0.0.99", agent="curl").body == (
        b"No plugin serves this phone.\n"
    )


@pytest.mark.parametrize("raw", [b"/f\xc3\xa9", b"/\xe9", b"/\x80\x81"])
def test_raw_bytes_beyond_ascii_get_the_file_they_name_or_400(server: RunningServer, raw: bytes) -> None:
    """Parsers differ in whether they let them through."""
    answer = http_raw(server.http_port, b"GET " + raw + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    named = raw == b"/f\xc3\xa9" and answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(CONTENT)
    assert named or answer.startswith(b"HTTP/1.1 400 ")
