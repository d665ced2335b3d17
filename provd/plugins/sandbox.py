"""The Jinja2 environment of templates: a sandbox with bounds, in which changes of files are noticed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import jinja2
from jinja2.environment import TemplateModule
from jinja2.loaders import split_template_path
from jinja2.sandbox import SandboxedEnvironment

MAX_REPEATED_LENGTH = 1024 * 1024
MAX_EXPONENT = 1024


class OverridingLoader(jinja2.BaseLoader):
    """Finds a template in the first folder that has it.

    A compiled template is used again only while the same file, unchanged, is what would be found: a custom template
    counts as soon as it is put down, and the shipped one again as soon as it is removed.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [str(folder) for folder in folders]

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The template's text and path, and whether both are still so."""
        found = self._find(template)
        if found is None:
            raise jinja2.TemplateNotFound(template)
        path = found[0]
        try:
            with open(path, encoding="utf-8") as file:
                source = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise jinja2.TemplateSyntaxError(f"cannot be read: {error}", 1, template, path) from error
        return source, path, lambda: self._find(template) == found

    def _find(self, template: str) -> tuple[Any, ...] | None:
        parts = split_template_path(template)
        for folder in self._folders:
            path = os.path.join(folder, *parts)
            try:
                status = os.stat(path)
            except OSError:
                continue
            return path, status.st_ino, status.st_ctime_ns, status.st_size
        return None


class _Template(jinja2.Template):
    """A template whose macros are made anew for each import, because Jinja2 would keep what they import."""

    def _get_default_module(self, ctx: Any = None) -> TemplateModule:
        return self.make_module()


class TemplateEnvironment(SandboxedEnvironment):
    """A sandbox in which no operator makes a value that fills the memory or takes for ever."""

    intercepted_binops: ClassVar[frozenset[str]] = frozenset(["*", "**"])  # type: ignore[misc]
    template_class = _Template

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The value of `left operator right`.

        Raises:
            OverflowError: it would be too large.
        """
        if operator == "**" and not abs(right) <= MAX_EXPONENT:
            raise OverflowError(f"an exponent of more than {MAX_EXPONENT}")
        if operator == "*" and _repeated_length(left, right) > MAX_REPEATED_LENGTH:
            raise OverflowError(f"a repetition to more than {MAX_REPEATED_LENGTH} elements")
        return super().call_binop(context, operator, left, right)


class TimeIsOverError(Exception):
    """A template has used up its time."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what takes more than `seconds` of the process's own time, also if it never lets go.

    Signals reach the main thread only; elsewhere there is no limit.
    """
    if threading.get_native_id() != os.getpid():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _time_is_over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _time_is_over(number: int, frame: FrameType | None) -> None:
    raise TimeIsOverError


def _repeated_length(left: Any, right: Any) -> int:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
            return len(sequence) * times
    return 0
