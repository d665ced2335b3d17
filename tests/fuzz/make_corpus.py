"""Writes the corpus: `python tests/fuzz/make_corpus.py`. What tests or users find later is added here, or as a file."""

from __future__ import annotations

import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

UPWARDS = {
    "dots": "../{}",
    "dots-slash-first": "/../{}",
    "dots-many": "../../../../../../../../../../{}",
    "dots-behind-folder": "Aastra/../../{}",
    "dots-double-slash": "..//{}",
    "dots-with-dot": "./.././{}",
    "dots-backslash": "..\\{}",
    "dots-quoted": "%2e%2e/{}",
    "dots-slash-quoted": "..%2f{}",
    "dots-all-quoted": "%2e%2e%2f{}",
    "dots-backslash-quoted": "..%5c{}",
    "dots-quoted-twice": "%252e%252e%252f{}",
    "dots-overlong": "%c0%ae%c0%ae%c0%af{}",
    "dots-overlong-long": "%e0%80%ae%e0%80%ae/{}",
    "dots-unicode": "%u002e%u002e/{}",
    "dots-semicolon": "..;/{}",
    "dots-doubled": "....//{}",
    "dots-nul": "..%00/{}",
    "absolute": "/{}",
    "absolute-drive": "C:\\{}",
    "url": "file:///{}",
    "tilde": "~root/{}",
    "folder-beside": "-evil/{}",
    "hidden": ".hidden",
    "link": "link-outside",
}
"""Ways out of the folder of the phones' files; the secrets are `tftpboot-evil/x` and `etc/passwd`."""
TO_PASSWD = ("dots-many", "dots-quoted", "absolute", "url")

LOG_LINE = '[2026-01-01 00:00:00,000] Sensitive file requested from 192.0.2.1: "x"'


def tftp(opcode: int, *texts: str | bytes) -> bytes:
    parts = [text if isinstance(text, bytes) else text.encode("latin-1") for text in texts]
    return struct.pack("!H", opcode) + b"".join(part + b"\0" for part in parts)


def rrq(name: str | bytes = "good", *options: str | bytes, mode: str | bytes = "octet") -> bytes:
    return tftp(1, name, mode, *options)


def tftp_packets() -> dict[str, bytes]:
    """The TFTP corpus by name."""
    found = {f"{length}-bytes": b"\0\1\0\1"[:length] for length in (0, 1, 2, 3)}
    for opcode in (*range(9), 255, 256, 65535):
        found[f"opcode-{opcode}-alone"] = struct.pack("!H", opcode)
        found[f"opcode-{opcode}-with-texts"] = tftp(opcode, "good", "octet")
        found[f"opcode-{opcode}-with-number"] = struct.pack("!HH", opcode, 1) + b"text\0"
    for length in (1, 2, 127, 128, 255, 256, 400, 512, 1000, 1024, 1025, 1500, 2000, 2039, 2040, 2041, 9000):
        found[f"name-of-{length}-bytes"] = rrq("n" * length)
    found["name-of-many-folders"] = rrq("d/" * 900)
    found["name-of-many-slashes"] = rrq("/" * 1900)
    for way, pattern in UPWARDS.items():
        found[f"name-{way}-secret"] = rrq(pattern.format("tftpboot-evil/x"))
    for way in TO_PASSWD:
        found[f"name-{way}-passwd"] = rrq(UPWARDS[way].format("etc/passwd"))
    names = {
        "empty": "", "blank": " ", "nul-within": "go\0od", "latin-1": "go\xe9d", "utf-8": "go\xc3\xa9d",
        "high": "\xff\xfe", "line-feed": "good\n", "carriage-return": "\rgood", "escape": "\x1b[2Jgood",
        "percent": "%s%n%d%x", "quote": 'go"od', "star": "*", "log-line": f"x\n{LOG_LINE}",
        "template": "{{7*7}}", "shell": "$(id)`id`;id|id", "surrogate": "\xed\xa0\x80", "folder": "Aastra",
        "slash": "/", "phone": "Aastra/00085D0000AA.cfg", "phone-lower": "aastra/00085d0000ab.CFG", "good": "good",
    }  # fmt: skip
    found |= {f"name-{key}": rrq(name) for key, name in names.items()}
    modes = {
        "empty": "", "mail": "mail", "binary": "binary", "blank-behind": "octet ", "blank-first": " octet",
        "upper": "OCTET", "netascii": "NetASCII", "latin-1": "\xff", "long": "o" * 500, "line-feed": "octet\n",
    }  # fmt: skip
    found |= {f"mode-{key}": rrq(mode=mode) for key, mode in modes.items()}
    values = {
        "empty": "", "zero": "0", "one": "1", "seven": "7", "limit": "65464", "above": "65465", "16-bit": "65536",
        "32-bit": "4294967296", "64-bit": "18446744073709551616", "long": "9" * 400, "minus": "-1", "plus": "+512",
        "blank": " 512", "line-feed": "512\n", "text": "big", "hex": "0x200", "fraction": "1.5", "exponent": "1e3",
        "leading-zeros": "0" * 10 + "512", "latin-1": "\xb2", "arabic": "\xd9\xa1", "underscore": "5_1_2",
        "nul": "51\0002",
    }  # fmt: skip
    for option in ("blksize", "tsize", "timeout", "windowsize"):
        found |= {f"option-{option}-{key}": rrq("good", option, value) for key, value in values.items()}
    found |= {
        "option-name-empty": rrq("good", "", "1"),
        "option-name-latin-1": rrq("good", "blks\xefze", "512"),
        "option-name-long": rrq("good", "o" * 1900, "1"),
        "option-without-value": rrq("good", "blksize"),
        "option-unterminated-name": rrq() + b"blksize",
        "option-unterminated-value": rrq() + b"blksize\x00512",
        "option-repeated": rrq("good", "blksize", "8", "blksize", "1024", "BLKSIZE", "16"),
        "option-odd-count": rrq("good", "blksize", "512", "tsize"),
        "option-many": rrq("good", *["a", "b"] * 400),
        "option-many-known": rrq("good", *["blksize", "512", "tsize", "0", "timeout", "1", "windowsize", "2"] * 25),
        "option-unknown": rrq("good", "multicast", "", "rollover", "1", "x", "y"),
        "option-all-largest": rrq("good", "blksize", "65464", "windowsize", "65535", "timeout", "255", "tsize", "0"),
        "padded-with-zeros": rrq() + b"\0" * 400,
        "padded-with-rubbish": (rrq() + b"\xa5" * 512)[:516],
        "unterminated-name": b"\0\1good",
        "unterminated-mode": b"\0\1good\0octet",
        "no-mode": b"\0\1good\0",
        "only-zeros": b"\0\1" + b"\0" * 500,
        "only-ones": b"\xff" * 1500,
        "too-long-for-a-request": rrq("good", "a", "b" * 3000),
        "write-up": tftp(2, "../tftpboot-evil/x", "octet"),
        "write-probe": tftp(2, "provd-watchdog-probe", "octet"),
        "read-probe": rrq("provd-watchdog-probe"),
        "error-empty": b"\0\5\0\0",
        "error-long": b"\0\5\0\1" + b"e" * 1500,
        "http-request": b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n",
        "dns-request": b"\x12\x34\1\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3",
        "sip-request": b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n",
    }
    return found


def http(line: str | bytes, *fields: str | bytes, body: bytes = b"", end: bytes = b"\r\n") -> bytes:
    lines = [text if isinstance(text, bytes) else text.encode("latin-1") for text in (line, *fields)]
    return b"".join(text + end for text in lines) + end + body


def get(target: str = "/good", *fields: str | bytes) -> bytes:
    return http(f"GET {target} HTTP/1.1", "Host: x", *fields)


def http_requests() -> dict[str, bytes]:
    """The HTTP corpus by name."""
    found = {}
    for way, pattern in UPWARDS.items():
        found[f"path-{way}-secret"] = get("/" + pattern.format("tftpboot-evil/x"))
    for way in TO_PASSWD:
        found[f"path-{way}-passwd"] = get("/" + UPWARDS[way].format("etc/passwd"))
    paths = {
        "empty": "", "star": "*", "relative": "good", "absolute-form": "http://x/good", "absolute-form-up": "http://x/..",
        "absolute-form-query": "http://x?/good", "authority-form": "x:80", "nul": "/good\0", "nul-quoted": "/good%00",
        "line-feed-quoted": "/good%0d%0aX:%20y", "latin-1": "/go\xe9d", "utf-8": "/go\xc3\xa9d", "percent-alone": "/%",
        "percent-cut": "/%2", "percent-not-hex": "/%zz", "percent-bomb": "/" + "%25" * 600, "percent-quoted": "/%67ood",
        "long": "/" + "n" * 5000, "many-folders": "/" + "d/" * 900, "many-slashes": "/" * 1900, "fragment": "/good#x",
        "query-long": "/good?" + "q" * 1900, "tab": "/go\tod", "phone": "/Aastra/00085D0000AC.cfg", "folder": "/Aastra",
        "log-line": "/x%0a" + LOG_LINE.replace(" ", "%20"),
    }  # fmt: skip
    found |= {f"target-{key}": get(path) for key, path in paths.items()}
    methods = {"lower": "get", "long": "G" * 500, "empty": "", "latin-1": "GE\xfeT", "nul": "GE\0T"}
    methods |= {each: each for each in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")}
    found |= {f"method-{key}": http(f"{method} /good HTTP/1.1", "Host: x") for key, method in methods.items()}
    versions = {"empty": "", "cut": "HTTP/1.", "triple": "HTTP/1.1.1", "lower": "http/1.1", "icap": "ICAP/1.0"}
    versions |= {each: f"HTTP/{each}" for each in ("0.9", "1.2", "2.0", "3", "11", "99999.99999")}
    found |= {f"version-{key}": http(f"GET /good {version}", "Host: x") for key, version in versions.items()}
    chunked = "Transfer-Encoding: chunked"
    hidden = get("/tftpboot-evil/x")
    fields = {
        "host-missing": http("GET /good HTTP/1.1"),
        "host-twice": get("/good", "Host: y"),
        "host-rubbish": http("GET /good HTTP/1.1", "Host: \xff \"'<>"),
        "length-twice": get("/good", "Content-Length: 0", "Content-Length: 5") + b"GET /g",
        "length-list": get("/good", "Content-Length: 0, 0"),
        "length-negative": get("/good", "Content-Length: -5"),
        "length-plus": get("/good", "Content-Length: +5") + b"12345",
        "length-huge": get("/good", "Content-Length: 99999999999999999999999"),
        "length-of-next-request": get("/good", f"Content-Length: {len(hidden)}") + hidden,
        "smuggle-cl-te": http("POST / HTTP/1.1", "Host: x", "Content-Length: 5", chunked) + b"0\r\n\r\n" + hidden,
        "smuggle-te-cl": get("/good", chunked, "Content-Length: 4") + b"5c\r\n" + hidden + b"0\r\n\r\n",
        "smuggle-te-te": get("/good", chunked, "Transfer-Encoding: identity") + b"0\r\n\r\n" + hidden,
        "smuggle-te-tab": get("/good", "Transfer-Encoding:\tchunked") + b"0\r\n\r\n" + hidden,
        "smuggle-te-blank": get("/good", "Transfer-Encoding : chunked") + b"0\r\n\r\n" + hidden,
        "smuggle-te-fold": get("/good", "Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n" + hidden,
        "smuggle-te-list": get("/good", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + hidden,
        "smuggle-get-length-0": get("/good", "Content-Length: 0") + hidden,
        "chunk-huge": http("POST / HTTP/1.1", "Host: x", chunked) + b"FFFFFFFFFFFFFFFFF\r\nx",
        "chunk-negative": http("POST / HTTP/1.1", "Host: x", chunked) + b"-1\r\nx\r\n",
        "chunk-trailer": http("GET /good HTTP/1.1", "Host: x", chunked) + b"0\r\nHost: y\r\n\r\n" + hidden,
        "chunk-extension-long": http("POST / HTTP/1.1", "Host: x", chunked) + b"1;" + b"e" * 20_000,
        "expect": get("/good", "Expect: 100-continue"),
        "upgrade-h2c": get("/good", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk") + hidden,
        "upgrade-websocket": get("/good", "Connection: Upgrade", "Upgrade: websocket") + b"\x81\x05hello",
        "fold": get("/good", "X: a\r\n b\r\n\tc"),
        "fold-first": http("GET /good HTTP/1.1", " Host: x"),
        "colon-missing": get("/good", "X"),
        "colon-first": get("/good", ": y"),
        "name-with-blank": get("/good", "X : y"),
        "name-with-nul": get("/good", b"X\0: y"),
        "name-latin-1": get("/good", "\xe9: y"),
        "name-long": get("/good", "n" * 9000 + ": y"),
        "value-with-nul": get("/good", b"X: a\0b"),
        "value-with-controls": get("/good", b"X: \x01\x02\x7f\x1b[2J"),
        "value-with-lone-cr": get("/good", b"X: a\rHost: z"),
        "value-long": get("/good", "X: " + "v" * 70_000),
        "value-empty": get("/good", "X:"),
        "headers-64": get("/good", *["X: y"] * 63),
        "headers-65": get("/good", *["X: y"] * 64),
        "headers-10000": get("/good", *["X: y"] * 10_000),
        "user-agent-latin-1": get("/good", "User-Agent: Aastra6731i MAC:\xe9\xe9 V:\xff"),
        "user-agent-phone": get("/good", "User-Agent: Aastra6731i MAC:00-08-5D-00-00-AD V:3.3.1.4305-SIP"),
        "user-agent-long": get("/good", "User-Agent: " + "Aastra" * 1000),
        "user-agent-backtracking": get("/good", f"User-Agent: Aastra{'i' * 30} MAC:00-08-5D-00-00-AD V:{'.' * 3000}"),
        "forwarded-for": get("/good", 'X-Forwarded-For: 192.0.2.1, "x", ::1%25lo, ' + "," * 500),
        "range-bomb": get("/good", "Range: bytes=" + "0-," * 1500),
        "range-huge": get("/good", "Range: bytes=" + "9" * 18 + "-" + "9" * 18),
        "range-longer": get("/good", "Range: bytes=" + "9" * 400 + "-"),
        "range-suffix-huge": get("/good", "Range: bytes=-" + "9" * 18),
        "if-none-match-bomb": get("/good", "If-None-Match: " + 'W/"x",' * 1000),
        "if-modified-since-rubbish": get("/good", "If-Modified-Since: Mon, 00 Foo 0000 99:99:99 +9999"),
        "if-modified-since-early": get("/good", "If-Modified-Since: Mon, 01 Jan 0001 00:00:00 GMT"),
        "if-modified-since-late": get("/good", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 -2359"),
        "if-modified-since-asctime": get("/good", "If-Modified-Since: Sun Nov  6 08:49:37 1994"),
        "if-modified-since-long": get("/good", "If-Modified-Since: " + "1:" * 2000),
        "if-range-rubbish": get("/good", "Range: bytes=0-1", "If-Range: \xff"),
        "pipeline": get() * 100,
        "pipeline-of-heads": http("HEAD /good HTTP/1.1", "Host: x") * 100,
        "pipeline-then-rubbish": get() * 3 + b"\0" * 5000,
        "pipeline-of-errors": get("/../x") * 50 + get("/%00") * 50,
        "bare-lf": http("GET /good HTTP/1.1", "Host: x", end=b"\n"),
        "bare-cr": http("GET /good HTTP/1.1", "Host: x", end=b"\r"),
        "lf-cr": http("GET /good HTTP/1.1", "Host: x", end=b"\n\r"),
        "blank-lines-first": b"\r\n" * 20 + get(),
        "blank-lines-only": b"\r\n" * 30_000,
        "blanks-in-line": b"GET \t /good \t HTTP/1.1\r\nHost: x\r\n\r\n",
        "simple-request": b"GET /good\r\n",
        "simple-request-cut": b"GET /good",
        "cut-in-line": b"GET /good HT",
        "cut-in-head": b"GET /good HTTP/1.1\r\nHost: x\r\n",
        "nothing": b"",
        "one-byte": b"G",
        "zeros": b"\0" * 3000,
        "high-bytes": bytes(range(128, 256)) * 20,
        "tls-client-hello": b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(range(32)) + b"\0\0\2\x13\1\1\0",
        "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        "http2-frames": b"\0\0\x12\4\0\0\0\0\0" + b"\0" * 18,
        "proxy-v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(),
        "proxy-v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12 + get(),
        "socks": b"\4\1\0\x50\x7f\0\0\1\0",
        "ssh": b"SSH-2.0-x\r\n",
        "sip": b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n",
        "smtp": b"EHLO x\r\nMAIL FROM:<x>\r\n",
        "answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    }  # fmt: skip
    return found | fields


if __name__ == "__main__":
    for folder, entries in (("tftp", tftp_packets()), ("http", http_requests())):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for name, content in entries.items():
            (CORPUS / folder / name).write_bytes(content)
