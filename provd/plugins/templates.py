"""Templates of one plugin: Jinja2 in a sandbox, the administrator's `var/templates` before the shipped `templates`."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.loaders import split_template_path
from jinja2.sandbox import SandboxedEnvironment

from provd.errors import TemplateError

MAX_RENDERED_CHARACTERS = 4 * 1024 * 1024
MAX_RENDER_SECONDS = 2.0
_CHUNKS_BETWEEN_CHECKS = 256


class TemplateDict(dict[str, Any]):
    """A dict with the views of old, so that templates written for the existing provd (Python 2) still render."""

    def iteritems(self) -> Iterator[tuple[str, Any]]:
        """The same as `items()`."""
        return iter(self.items())

    def iterkeys(self) -> Iterator[str]:
        """The same as `keys()`."""
        return iter(self)

    def itervalues(self) -> Iterator[Any]:
        """The same as `values()`."""
        return iter(self.values())


class _OverridingLoader(jinja2.BaseLoader):
    """Finds a template in the first folder that has it.

    A compiled template is used again only while the same file, unchanged, is what would be found: a custom template
    counts as soon as it is put down, and the shipped one again as soon as it is removed.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [str(folder) for folder in folders]

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        found = self._find(template)
        if found is None:
            raise jinja2.TemplateNotFound(template)
        path = found[0]
        with open(path, encoding="utf-8") as file:
            source = file.read()
        return source, path, lambda: self._find(template) == found

    def _find(self, template: str) -> tuple[str, int, int] | None:
        parts = split_template_path(template)
        for folder in self._folders:
            path = os.path.join(folder, *parts)
            try:
                status = os.stat(path)
            except OSError:
                continue
            return path, status.st_mtime_ns, status.st_size
        return None


class TemplateSet:
    """The templates of the plugin installed in `folder`."""

    def __init__(
        self, folder: Path, *, escape_xml: bool = False, filters: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._environment = SandboxedEnvironment(
            loader=_OverridingLoader([folder / "var" / "templates", folder / "templates"]),
            autoescape=escape_xml,
        )
        self._environment.filters.update(filters or {})
        self._folder = str(folder) + os.sep

    def render(self, names: Sequence[str], context: Mapping[str, Any]) -> str:
        """Render the first template of `names` that exists.

        Raises:
            TemplateError: none exists, or it fails; the message names the template's file and line.
        """
        try:
            template = self._environment.select_template(names)
            return _bounded_text(template, template_value(context))
        except jinja2.TemplatesNotFound:
            raise TemplateError("no template found; looked for " + ", ".join(names)) from None
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(self._located(error.filename, error.lineno, error.message or "")) from error
        except TemplateError:
            raise
        except Exception as error:  # (a template may raise anything; it harms only its files)
            raise TemplateError(self._described(error)) from error

    def _described(self, error: Exception) -> str:
        """What went wrong and where: Jinja2 puts the template's lines into the traceback."""
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(self._folder):
                return self._located(frame.filename, frame.lineno, message)
        return message

    def _located(self, filename: str | None, line: int | None, message: str) -> str:
        return f"{(filename or '?').removeprefix(self._folder)}, line {line}: {message}"


def template_value(value: Any) -> Any:
    """`value` with each dict in it, at any depth, as a `TemplateDict`."""
    if isinstance(value, Mapping):
        return TemplateDict((key, template_value(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [template_value(item) for item in value]
    return value


def _bounded_text(template: jinja2.Template, context: Mapping[str, Any]) -> str:
    """Render within bounds of size and time, which are looked at between the pieces of output."""
    pieces: list[str] = []
    length, deadline = 0, time.monotonic() + MAX_RENDER_SECONDS
    for piece in template.generate(context):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_RENDERED_CHARACTERS:
            raise TemplateError(f"{template.name}: gives more than {MAX_RENDERED_CHARACTERS} characters")
        if len(pieces) % _CHUNKS_BETWEEN_CHECKS == 0 and time.monotonic() > deadline:
            raise TemplateError(f"{template.name}: takes more than {MAX_RENDER_SECONDS} seconds")
    return "".join(pieces)
