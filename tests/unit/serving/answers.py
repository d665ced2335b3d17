"""Answers about a file of 1000 bytes that was changed in 1994."""

from __future__ import annotations

from provd.plugins.files import OpenFile
from provd.serving.http_response import Answer, file_answer

MODIFIED_S = 784111777
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
SIZE = 1000


def a_file(
    path: str = "Aastra/aastra.cfg", size: int = SIZE, mtime_ns: int = MODIFIED_S * 10**9 + 5, inode: int = 7
) -> OpenFile:
    return OpenFile(-1, size, mtime_ns, inode, path)


def answer(file: OpenFile | None = None, *, with_body: bool = True, **headers: str) -> Answer:
    """The answer to a request with these fields; `_` stands for a dash."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return file_answer(file or a_file(), fields, with_body=with_body)


def fields(result: Answer) -> dict[str, str]:
    names = [name for name, _ in result.headers]
    assert len(names) == len(set(names))
    return dict(result.headers)


ETAG = fields(answer())["ETag"]
