"""Downloads from real servers: whole and verified, or not at all; and never longer than is sensible."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from provd import __version__
from provd.errors import RepositoryError
from provd.model.operation import Operation, OperationCancelledError, State
from provd.plugins import downloads, watch
from provd.plugins.downloads import HttpDownloader, Source
from provd.plugins.web import Proxies, public_url
from provd.repository_settings import open_downloader
from provd.settings import Settings, default_settings

from .web_server import Answer, http_server, send

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.bin"


def source(*urls: str, sha256sum: str | None = SHA256, **more: object) -> Source:
    return Source(urls, 1_000_000, sha256sum=sha256sum, **more)  # type: ignore[arg-type]


def download(target: Path, wanted: Source, downloader: HttpDownloader | None = None) -> Operation:
    operation = Operation("download")
    (downloader or HttpDownloader()).download(wanted, target, operation)
    return operation


def failure(target: Path, wanted: Source, downloader: HttpDownloader | None = None) -> str:
    """Why a download fails, which leaves the target as it was."""
    before = target.read_bytes() if target.exists() else None
    operation = Operation("download")
    with pytest.raises(RepositoryError) as caught:
        (downloader or HttpDownloader()).download(wanted, target, operation)
    assert (target.read_bytes() if target.exists() else None) == before
    assert (operation.state, operation.error) == (State.FAIL, str(caught.value))
    return str(caught.value)


class Shelf:
    """A server's one file, sent in full or from where the client wants it; `asked` are the Range headers."""

    def __init__(self, content: bytes = CONTENT, tag: str | None = '"1"', **headers: str) -> None:
        self.content = content
        self.tag = tag
        self.headers = headers
        self.cuts: list[int] = []
        self.honours_range = True
        self.asked: list[tuple[str | None, str | None]] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((wanted, condition))
        headers = {**self.headers, **({"ETag": self.tag} if self.tag else {})}
        begin, status = 0, 200
        if wanted and self.honours_range and condition in (None, self.tag):
            begin, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if begin >= len(self.content):
                send(handler, b"", 416, Content_Range=f"bytes */{len(self.content)}")
                return
            headers["Content-Range"] = f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"
        body = self.content[begin:]
        cut = self.cuts.pop(0) if self.cuts else len(body)
        send(handler, body[:cut], status, **{**headers, "Content_Length": str(len(body))})


def test_a_file_comes_whole_and_its_bytes_are_counted(target: Path) -> None:
    with http_server(Shelf()) as url:
        operation = download(target, source(f"{url}/a file?x=1"))
    assert target.read_bytes() == CONTENT
    assert str(operation) == f"download|success;{len(CONTENT)}/{len(CONTENT)}"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_the_server_is_told_who_asks(target: Path) -> None:
    heard = []
    shelf = Shelf()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append((handler.headers["User-Agent"], handler.headers["Accept-Encoding"], handler.path))
        shelf(handler)

    with http_server(answer) as url:
        download(target, source(f"{url}/é b?c=ü"))
    assert heard == [(f"xivo-provd/{__version__}", "identity", "/%C3%A9%20b?c=%C3%BC")]


@pytest.mark.parametrize("cut", [1, 2, 255, 256, 4095, 4096, 4097, len(CONTENT) - 1])
def test_a_download_that_was_interrupted_goes_on_where_it_was(target: Path, cut: int) -> None:
    shelf = Shelf()
    shelf.cuts = [cut]
    with http_server(shelf) as url:
        download(target, source(url))
    assert target.read_bytes() == CONTENT
    assert shelf.asked == [(None, None), (f"bytes={cut}-", '"1"')]


def test_a_server_that_sends_nothing_at_all_is_not_asked_again_and_again(target: Path) -> None:
    shelf = Shelf()
    shelf.cuts = [0] * 10
    with http_server(shelf) as url:
        assert f"breaks off after 0 of {len(CONTENT)} bytes" in failure(target, source(url))
        shelf.cuts = [1000, 0]
        assert "breaks off after 1000 of" in failure(target, source(url))
    assert len(shelf.asked) == 3


@pytest.mark.parametrize("cut", [1, 100, 5000])
@pytest.mark.parametrize("is_verified", [True, False])
def test_the_next_start_of_the_program_goes_on_too(
    target: Path, cut: int, is_verified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_ATTEMPTS", 1)
    shelf = Shelf()
    shelf.cuts = [cut]
    wanted = SHA256 if is_verified else None
    with http_server(shelf) as url:
        assert f"breaks off after {cut} of {len(CONTENT)} bytes" in failure(target, source(url, sha256sum=wanted))
        operation = download(target, source(url, sha256sum=wanted))
    assert target.read_bytes() == CONTENT
    assert operation.current == len(CONTENT)
    assert shelf.asked == [(None, None), (f"bytes={cut}-", '"1"')]
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("tag", ['"1"', None, 'W/"weak"'])
@pytest.mark.parametrize("is_verified", [True, False])
@pytest.mark.parametrize("honours_range", [True, False])
def test_a_file_that_has_changed_meanwhile_is_never_mixed_with_what_was_there(
    target: Path, tag: str | None, is_verified: bool, honours_range: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_ATTEMPTS", 1)
    shelf = Shelf(b"old" * 5000, tag)
    shelf.cuts, shelf.honours_range = [3000], honours_range
    with http_server(shelf) as url:
        assert "breaks off" in failure(target, source(url))
        assert (target.parent / "file.bin.part").stat().st_size == 3000
        monkeypatch.setattr(downloads, "_ATTEMPTS", 2)
        shelf.content, shelf.tag = CONTENT, '"2"' if tag else None
        download(target, source(url, sha256sum=SHA256 if is_verified else None))
    assert target.read_bytes() == CONTENT


def test_a_range_that_the_server_has_not_begins_anew(target: Path) -> None:
    target.parent.mkdir()
    for left in (b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1), b"x" * 2_000_000, CONTENT[:-1], CONTENT):
        (target.parent / "file.bin.part").write_bytes(left)
        with http_server(Shelf()) as url:
            download(target, source(url))
        assert target.read_bytes() == CONTENT
        target.unlink()


def test_what_was_left_whole_is_not_fetched_again(target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT)
    download(target, source("http://127.0.0.1:1/", size=len(CONTENT)))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("part", ["bytes 0-9/10", "bytes 7-9/10", "bytes", "", "bytes 1-2/3, 4"])
def test_a_part_that_is_another_one_than_was_asked_for_is_not_used(target: Path, part: str) -> None:
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT[:100])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Range"):
            send(handler, b"x" * 10, 206, Content_Range=part)
        else:
            send(handler, CONTENT)

    with http_server(answer) as url:
        download(target, source(url))
    assert target.read_bytes() == CONTENT


def test_sums_are_always_verified(target: Path) -> None:
    with http_server(Shelf(b"other")) as url:
        only_sha1 = source(url, sha256sum=None, sha1sum=SHA1)
        for wanted in (source(url), source(url, sha1sum=SHA1), only_sha1, source(url, sha256sum="")):
            assert "the server has another file" in failure(target, wanted)
            assert list(target.parent.iterdir()) == []
        target.write_bytes(b"what was there")
        assert "checksum is" in failure(target, source(url))
        download(target, source(url, sha256sum=None))
    assert target.read_bytes() == b"other"


def test_mirrors_are_tried_in_their_order_and_each_is_named(target: Path) -> None:
    with http_server(lambda handler: send(handler, b"", 404)) as absent, http_server(Shelf(b"other")) as wrong:
        message = failure(target, source(f"{absent}/f", f"{wrong}/f"))
        assert f"{absent}/f: 404 Not Found; {wrong}/f: checksum is " in message
        with http_server(Shelf()) as url:
            download(target, source(absent, "http://127.0.0.1:1/", wrong, url))
    assert target.read_bytes() == CONTENT


def test_a_mirror_goes_on_where_another_one_broke_off(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_ATTEMPTS", 1)
    first, second = Shelf(), Shelf(tag='"other"')
    first.cuts = [5000]
    with http_server(first) as one, http_server(second) as other:
        download(target, source(one, other))
    assert target.read_bytes() == CONTENT
    assert second.asked == [("bytes=5000-", None)]


@pytest.mark.parametrize("declared", [True, False])
def test_no_more_comes_than_is_allowed(target: Path, declared: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if declared:
            handler.send_header("Content-Length", "10000000000")
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(65536))

    with http_server(answer) as url:
        assert " 1000000" in failure(target, source(url))
        assert " 10" in failure(target, source(url, size=10))
    assert sum(path.stat().st_size for path in target.parent.glob("*")) <= 1_000_000


def test_chunks_of_nothing_but_overhead_end(target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        while True:
            handler.wfile.write(b"X-Trailer: 1\r\n" * 10_000)

    with http_server(answer) as url:
        assert "sends much more than the file" in failure(target, source(url))


def test_a_full_disk_is_named(target: Path) -> None:
    target.parent.write_bytes(b"")
    with http_server(Shelf()) as url:
        assert failure_of_folder(target, url).startswith(f"{target}: cannot be written: ")


def failure_of_folder(target: Path, url: str) -> str:
    with pytest.raises(RepositoryError) as caught:
        download(target, source(url))
    return str(caught.value)


# --- time


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(watch, "WINDOW_S", 0.4)
    monkeypatch.setattr(watch, "_POLL_S", 0.05)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"", Content_Length="1000")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def dripping_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X")
        time.sleep(0.05)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("answer", [dripping, dripping_head])
def test_a_slow_server_is_given_up_and_the_next_one_is_asked(target: Path, answer: Answer) -> None:
    with http_server(answer) as url:
        begin = time.monotonic()
        assert "sends less than 4096 bytes a second" in failure(target, source(url))
        assert time.monotonic() - begin < 2
        with http_server(Shelf()) as other:
            download(target, source(url, other))
    assert target.read_bytes() == CONTENT


@pytest.mark.usefixtures("hasty")
def test_a_server_that_falls_silent_is_given_up(target: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, CONTENT[:10], Content_Length="1000")
        time.sleep(2)

    with http_server(answer) as url:
        assert "timed out" in failure(target, source(url)) or "less than" in failure(target, source(url))


def test_a_small_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FETCH_DEADLINE_S", 0.3)
    with http_server(dripping) as url, pytest.raises(RepositoryError, match="takes too long"):
        HttpDownloader().fetch(url, 10_000)


def test_cancelling_stops_also_while_the_server_says_nothing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_POLL_S", 0.05)
    operation = Operation()
    release = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, CONTENT[:1000], Content_Length=str(len(CONTENT)))
        release.wait(5)

    with http_server(answer) as url:
        timer = threading.Timer(0.2, operation.cancel)
        timer.start()
        with pytest.raises(OperationCancelledError):
            HttpDownloader().download(source(url), target, operation)
        timer.join()
        release.set()
    assert operation.state == State.FAIL
    assert (target.parent / "file.bin.part").read_bytes() == CONTENT[:1000]
    assert not target.exists()


# --- proxies and TLS


def proxy(log: list[tuple[str, str, str | None]]) -> Answer:
    """A little proxy that fetches by http and tunnels https."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        log.append((handler.command, handler.path, handler.headers.get("Proxy-Authorization")))
        if handler.command == "CONNECT":
            tunnel(handler)
            return
        parts = urlsplit(handler.path)
        with closing(HTTPConnection(parts.hostname, parts.port, timeout=5)) as onward:
            headers = {name: value for name, value in handler.headers.items() if name == "Range"}
            onward.request("GET", parts.path or "/", headers=headers)
            answered = onward.getresponse()
            send(handler, answered.read(), answered.status, **dict(answered.headers.items()))

    return answer


def tunnel(handler: BaseHTTPRequestHandler) -> None:
    host, _, port = handler.path.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as onward:
        handler.send_response(200)
        handler.end_headers()
        back = threading.Thread(target=pump, args=(onward, handler.connection))
        back.start()
        pump(handler.connection, onward)
        back.join()


def pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while block := one.recv(65536):
            other.sendall(block)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        assert not os.environ.get("CI"), "openssl has to be installed where CI is set"
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-keyout", str(file), "-out", f"{file}.crt"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


@contextmanager
def https_server(certificate: Path, answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.handle_error = True, lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=f"{certificate}.crt")


def test_https_needs_a_certificate_that_is_believed(target: Path, certificate: Path) -> None:
    with https_server(certificate, Shelf()) as url:
        message = failure(target, source(url))
        assert f"{url}: its certificate is not believed: self-signed certificate" in message
        download(target, source(url), HttpDownloader(context=trusting(certificate)))
    assert target.read_bytes() == CONTENT


def test_http_goes_through_the_proxy(target: Path) -> None:
    log: list[tuple[str, str, str | None]] = []
    with http_server(proxy(log)) as via, http_server(Shelf()) as url:
        proxies = Proxies(http=via.replace("//", "//joe:secret@"))
        download(target, source(f"{url}/f"), HttpDownloader(proxies))
    assert target.read_bytes() == CONTENT
    assert log == [("GET", f"{url}/f", "Basic am9lOnNlY3JldA==")]


def test_https_goes_through_the_proxys_tunnel(target: Path, certificate: Path) -> None:
    log: list[tuple[str, str, str | None]] = []
    heard = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Proxy-Authorization"))
        send(handler, CONTENT)

    with http_server(proxy(log)) as via, https_server(certificate, answer) as url:
        proxies = Proxies(https=via.replace("//", "//joe:secret@"))
        download(target, source(url), HttpDownloader(proxies, trusting(certificate)))
    assert target.read_bytes() == CONTENT
    assert log == [("CONNECT", url.removeprefix("https://"), "Basic am9lOnNlY3JldA==")]
    assert heard == [None]


def test_ftp_goes_through_the_proxy(target: Path) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        send(handler, CONTENT)

    with http_server(answer) as via:
        download(target, source("ftp://files.example/f"), HttpDownloader(Proxies(ftp=via)))
    assert asked == ["ftp://files.example/f"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_named_without_its_password(target: Path, scheme: str) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", 407)

    with http_server(answer) as via:
        url = via.replace("//", "//joe:secret@")
        message = failure(target, source(f"{scheme}://files.example/"), HttpDownloader(Proxies(url, url)))
    assert "407" in message
    assert "joe" not in message
    assert "secret" not in message


def test_a_proxy_that_is_not_there_is_named(target: Path) -> None:
    proxies = Proxies(http="http://joe:secret@127.0.0.1:1")
    message = failure(target, source("http://files.example/f"), HttpDownloader(proxies))
    assert message.startswith(
        "file.bin cannot be downloaded: http://files.example/f: Connection refused, through the proxy "
        "http://127.0.0.1:1; see whether the server can be reached"
    )


def test_a_redirect_from_https_is_followed_only_if_a_sum_is_known(target: Path, certificate: Path) -> None:
    with (
        http_server(Shelf()) as plain,
        https_server(certificate, lambda handler: send(handler, b"", 302, Location=plain)) as url,
    ):
        downloader = HttpDownloader(context=trusting(certificate))
        assert "redirects from https" in failure(target, source(url, sha256sum=None), downloader)
        with pytest.raises(RepositoryError, match="where anybody may change it"):
            downloader.fetch(url, 100_000)
        download(target, source(url), downloader)
    assert target.read_bytes() == CONTENT


# --- FTP


@contextmanager
def ftp_server(reply: Callable[[str], bytes | None]) -> Iterator[str]:
    """A server that knows just enough for one download; `reply` gives the file of a name, or None."""

    def talk(listener: socket.socket, passive: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", newline="\r\n") as lines:

            def say(text: str) -> None:
                lines.write(f"{text}\r\n".replace("\r\n", "\n"))
                lines.flush()

            say("220 hello")
            for line in lines:
                word, _, rest = line.strip().partition(" ")
                content = reply(rest) if word in ("CWD", "RETR") else b""
                if word == "RETR" and content is not None:
                    say(f"150 here it comes ({len(content)} bytes)")
                    data, _ = passive.accept()
                    with data:
                        data.sendall(content)
                    say("226 done")
                elif content is None:
                    say("550 no such file")
                else:
                    answers = {"USER": "331 password", "PASS": "230 welcome", "TYPE": "200 ok",
                               "CWD": "250 ok", "PWD": '257 "/"', "QUIT": "221 bye",
                               "EPSV": f"229 here (|||{passive.getsockname()[1]}|)",
                               "PASV": "227 ({},{},{})".format("127,0,0,1", *divmod(passive.getsockname()[1], 256)),
                               }  # fmt: skip
                    say(answers.get(word, "500 what?"))

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as passive:
        thread = threading.Thread(target=talk, args=(listener, passive), daemon=True)
        thread.start()
        yield f"ftp://joe:secret@127.0.0.1:{listener.getsockname()[1]}"


def test_a_file_comes_by_ftp(target: Path) -> None:
    with ftp_server(lambda _: CONTENT) as url:
        operation = download(target, source(f"{url}/f"))
    assert target.read_bytes() == CONTENT
    assert operation.end == len(CONTENT)


def test_a_file_that_an_ftp_server_has_not_is_named(target: Path) -> None:
    with ftp_server(lambda _: None) as url:
        message = failure(target, source(f"{url}/f"))
    assert "550" in message
    assert "secret" not in message


# --- words


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://joe:secret@host/a", "http://host/a"),
        ("http://joe:s@cret@host/a", "http://host/a"),
        ("https://host:1/a@b?token=secret", "https://host:1/a@b?…"),
        ("http://host/a\nb", "'http://host/a\\nb'"),
        ("nonsense", "nonsense"),
    ],
)
def test_no_credentials_are_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "", "gopher://x/", "http:///x", "data:,x"])
def test_other_urls_are_refused(target: Path, url: str) -> None:
    assert "is no http, https or ftp URL" in failure(target, source(url))


def test_the_settings_say_which_proxy_is_for_which_scheme(target: Path) -> None:
    values = {**default_settings().values, "general.ftp_proxy": "http://127.0.0.1:1"}
    assert {values[f"general.{scheme}_proxy"] for scheme in ("http", "https")} == {""}
    message = failure(target, source("ftp://files.example/f"), open_downloader(Settings(values)))
    assert "through the proxy http://127.0.0.1:1" in message
