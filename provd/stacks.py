"""What every thread and greenlet is doing, for whoever wonders at night why nothing moves."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from greenlet import greenlet


def describe_stacks() -> str:
    """The stacks of all greenlets and threads; code and line numbers only, no values."""
    return "\n".join([*_greenlets(), *_threads()])


def _greenlets() -> Iterator[str]:
    # What the start made is hidden from get_objects otherwise. It is not frozen again: with it all that lives just now
    # would be, and what of that becomes garbage would stay for ever.
    gc.unfreeze()
    # isinstance() would run the code of objects that pretend to be of another class.
    waiting: list[Any] = [each for each in gc.get_objects() if issubclass(type(each), greenlet)]
    for number, each in enumerate([each for each in waiting if each.gr_frame is not None], 1):
        yield f"greenlet {number}: {type(each).__name__}"
        yield _stack(each.gr_frame)


def _threads() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield f"thread {names.get(ident, ident)}"
        yield _stack(frame)


def _stack(frame: FrameType | None) -> str:
    return "".join(traceback.format_stack(frame)).rstrip()
