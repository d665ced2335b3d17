"""Downloads for work in native threads: they are handed over to the main hub, where a greenlet does them."""

from __future__ import annotations

from pathlib import Path

import gevent
from gevent.monkey import get_original

from provd.model.operation import Operation
from provd.plugins.downloads import Downloader, Source

_allocate_lock = get_original("_thread", "allocate_lock")


class HandedOver:
    """A downloader for native threads; it is made in the thread of the hub, and `downloader` works there."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader
        self._hub = gevent.get_hub()

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        """See `Downloader`; the calling thread waits, the hub does not."""
        done = _allocate_lock()
        done.acquire()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                self._downloader.download(source, target, operation)
            except BaseException as error:  # noqa: BLE001  (it is raised in the other thread)
                failures.append(error)
            finally:
                done.release()

        self._hub.loop.run_callback_threadsafe(gevent.spawn, work)
        done.acquire()
        if failures:
            raise failures[0]
