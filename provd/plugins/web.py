"""Opening URLs of http, https and ftp: through proxies, over a few redirects, and never longer than is sensible."""

from __future__ import annotations

import base64
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection, responses
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from provd import __version__
from provd.plugins import watch as limits
from provd.plugins.watch import NoSuchFileError, TransferError, UnreachableError, Watch, WatchedResponse

SCHEMES = ("http", "https", "ftp")
USER_AGENT = f"xivo-provd/{__version__}"
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_ABSENT = (403, 404, 410)
"""Some stores of files answer 403 where others say 404."""
_SAFE = "/%:=&?~+!$,;'@()*[]"
"""What stays as it is in a URL's path; the rest is quoted."""
_PORTS = {"http": 80, "https": 443, "ftp": 21}
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy's URL for each scheme; empty: none. What the environment says of proxies is not looked at."""

    http: str = ""
    https: str = ""
    ftp: str = ""


class Answer:
    """What a server sends for a URL: `status` is 200, 206 (a part) or 416 (there is no such part)."""

    def __init__(self, source: Any, connection: HTTPConnection | None, status: int, length: int | None) -> None:
        self._source = source
        self._connection = connection
        self.status = status
        self.headers: Mapping[str, str] = source.headers
        self.length = length
        """How many bytes there will be, if the server says so."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end.

        Raises:
            OperationCancelledError: somebody wants the transfer to stop.
            TransferError: the server sends no more.
        """
        try:
            content: bytes = self._source.read1(size)
        except (OSError, HTTPException, ValueError) as error:
            raise limits.BrokenOffError(reason_of(error)) from error
        return content

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each in (self._source, self._connection):
            try:
                if each is not None:
                    each.close()
            except OSError:
                pass  # it was about to end anyway


class Web:
    """Opens URLs. `context` says which servers are believed; None: those of the authorities the system knows."""

    def __init__(self, proxies: Proxies, context: ssl.SSLContext | None = None) -> None:
        self._proxies = proxies
        self._context = context

    def open(self, url: str, watch: Watch, headers: Mapping[str, str], *, is_verified: bool) -> Answer:
        """Ask for a URL; unless what comes `is_verified`, a redirect does not lead from https to another scheme.

        Raises:
            OperationCancelledError: somebody wants the transfer to stop.
            NoSuchFileError: there is no such file.
            TransferError: something else is wrong.
        """
        origin = url
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._ask(url, watch, {**headers, **_credentials(origin, url)})
            if answer.status in _REDIRECTS:
                with answer:
                    url = _redirected(url, answer.headers.get("Location", ""), is_verified)
                continue
            if answer.status in (200, 206, 416):
                return answer
            with answer:
                raise _refusal(answer.status)
        raise TransferError(f"redirects more than {MAX_REDIRECTS} times")

    def _ask(self, url: str, watch: Watch, headers: Mapping[str, str]) -> Answer:
        try:
            parts = urlsplit(url)
            if parts.scheme not in SCHEMES or not parts.hostname:
                raise TransferError("is no http, https or ftp URL")
            proxy = getattr(self._proxies, parts.scheme)
            if parts.scheme == "ftp" and not proxy:
                return _ask_ftp(url, watch)
            own = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close", **headers}
            return self._ask_http(parts, proxy, own, watch)
        except (OSError, HTTPException, ValueError) as error:
            through = f", through the proxy {public_url(proxy)}" if (proxy := self._proxy_of(url)) else ""
            raise UnreachableError(f"{reason_of(error)}{through}") from error

    def _proxy_of(self, url: str) -> str:
        return str(getattr(self._proxies, url.partition(":")[0], ""))

    def _ask_http(self, parts: SplitResult, proxy: str, headers: dict[str, str], watch: Watch) -> Answer:
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=_SAFE)
        via = urlsplit(proxy)
        proxy_headers = {"Proxy-Authorization": _basic(via)} if via.username else {}
        peer = (str(via.hostname), via.port or 80) if proxy else (host, port)
        connection = self._connection(parts.scheme == "https", *peer)
        if proxy and parts.scheme == "https":
            connection.set_tunnel(host, port, {"User-Agent": USER_AGENT, **proxy_headers})
        elif proxy:
            target = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], target, "", ""))
            headers = {**headers, **proxy_headers}
        connection.response_class = partial(WatchedResponse, watch=watch)  # type: ignore[assignment]
        try:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return Answer(response, connection, response.status, response.length)

    def _connection(self, is_tls: bool, host: str, port: int) -> HTTPConnection:
        if not is_tls:
            return HTTPConnection(host, port, timeout=limits.TIMEOUT_S)
        if self._context is None:
            self._context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=limits.TIMEOUT_S, context=self._context)


def public_url(url: str) -> str:
    """A URL as a message may show it: without user, password, and what follows a question mark."""
    shown, question, _ = _CREDENTIALS.sub("", url).partition("?")
    return _printable(f"{shown}?…" if question else shown)


def reason_of(error: Exception) -> str:
    """What went wrong, without the number of the error and the file's path, in one line that holds no secret."""
    cause: object = error
    while isinstance(cause, urllib.error.URLError):
        cause = cause.reason
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"its certificate is not believed: {cause.verify_message}"
    else:
        text = (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
    return _printable(_CREDENTIALS.sub("", text[:300]))


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _ask_ftp(url: str, watch: Watch) -> Answer:
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.FTPHandler())
    watch.check()
    answer = opener.open(url, timeout=limits.TIMEOUT_S)
    if answer is None:
        raise TransferError("cannot be opened")
    length = answer.headers.get("Content-Length", "")
    return Answer(_WatchedFtp(answer, watch), None, 200, int(length) if length.isdigit() else None)


class _WatchedFtp:
    """A file that comes by FTP."""

    def __init__(self, source: Any, watch: Watch) -> None:
        self._source = source
        self._watch = watch
        self.headers: Mapping[str, str] = {}
        self.close = source.close

    def read1(self, size: int) -> bytes:
        self._watch.check()
        content: bytes = self._source.fp.read1(size)
        self._watch.received(len(content))
        return content


def _redirected(url: str, location: str, is_verified: bool) -> str:
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        raise TransferError(f"redirects to {public_url(location)!r}, which is no URL") from None
    if not location or scheme not in SCHEMES:
        raise TransferError(f"redirects to {public_url(location)!r}; allowed: {', '.join(SCHEMES)}")
    if urlsplit(url).scheme == "https" != scheme and not is_verified:
        raise TransferError(f"redirects from https to {public_url(target)}, where anybody may change it")
    return target


def _refusal(status: int) -> TransferError:
    text = f"{status} {responses.get(status, '')}".rstrip()
    if status in _ABSENT:
        return NoSuchFileError(text)
    if status == 401:
        return TransferError(f"{text}: put user:password@ before the host of the URL")
    if status == 407:
        return TransferError(f"{text}: put user:password@ before the host of the proxy's URL")
    return TransferError(text)


def _credentials(origin: str, url: str) -> dict[str, str]:
    """The header with the user and password of `origin`, which only the server that it names is told."""
    try:
        known, asked = urlsplit(origin), urlsplit(url)
    except ValueError:
        return {}
    is_same = (known.scheme, known.netloc.rpartition("@")[2]) == (asked.scheme, asked.netloc.rpartition("@")[2])
    return {"Authorization": _basic(known)} if known.username and is_same else {}


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
