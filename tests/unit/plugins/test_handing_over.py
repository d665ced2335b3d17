"""Downloads for native threads are done by greenlets of the main hub."""

from __future__ import annotations

import threading
from pathlib import Path

import gevent
import pytest

from provd.errors import RepositoryError
from provd.model.operation import Operation
from provd.plugins.downloads import Source
from provd.plugins.handing_over import HandedOver

SOURCE = Source(["http://192.0.2.1/f"], 100)


class Downloader:
    """Notes where it works, and fails if it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.threads: list[int] = []
        self._error = error

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        gevent.sleep(0.001)  # only a greenlet of a running hub can do this
        self.threads.append(threading.get_ident())
        if self._error is not None:
            raise self._error
        target.write_text(source.urls[0])


def test_a_thread_gets_its_file_by_a_greenlet_of_the_hub(tmp_path: Path) -> None:
    downloader, ticks = Downloader(), []
    handed_over = HandedOver(downloader)

    def tick() -> None:
        while True:
            ticks.append(1)
            gevent.sleep(0)

    ticker = gevent.spawn(tick)
    pool = gevent.get_hub().threadpool
    pool.apply(handed_over.download, (SOURCE, tmp_path / "f", Operation()))
    ticker.kill()
    assert (tmp_path / "f").read_text() == "http://192.0.2.1/f"
    assert downloader.threads == [threading.get_ident()]
    assert ticks, "the hub goes on"


def test_what_fails_there_is_raised_here(tmp_path: Path) -> None:
    handed_over = HandedOver(Downloader(RepositoryError("the link is dead")))
    with pytest.raises(RepositoryError, match="the link is dead"):
        gevent.get_hub().threadpool.apply(handed_over.download, (SOURCE, tmp_path / "f", Operation()))
