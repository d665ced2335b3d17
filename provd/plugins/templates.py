"""Templates of one plugin: Jinja2 in a sandbox, the administrator's `var/templates` before the shipped `templates`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from provd.errors import TemplateError
from provd.plugins.sandbox import OverridingLoader, TemplateEnvironment, TimeIsOverError, time_limit

MAX_RENDERED_CHARACTERS = 4 * 1024 * 1024
MAX_RENDER_SECONDS = 2.0


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


class TemplateSet:
    """The templates of the plugin installed in `folder`."""

    def __init__(
        self, folder: Path, *, escape_xml: bool = False, filters: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._environment = TemplateEnvironment(
            loader=OverridingLoader([folder / "var" / "templates", folder / "templates"]),
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
            return _bounded_text(self._first_of(names), template_value(context))
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(self._located(error.filename, error.lineno, error.message or "")) from error
        except TemplateError:
            raise
        except Exception as error:  # (a template may raise anything; it harms only its files)
            raise TemplateError(self._described(error)) from error

    def _first_of(self, names: Sequence[str]) -> jinja2.Template:
        try:
            return self._environment.select_template(names)
        except jinja2.TemplatesNotFound:
            raise TemplateError("no template found; looked for " + ", ".join(names)) from None

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
    """Render, and give up when too much comes out or it takes too long."""
    pieces: list[str] = []
    length = 0
    try:
        with time_limit(MAX_RENDER_SECONDS):
            for piece in template.generate(context):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_RENDERED_CHARACTERS:
                    raise TemplateError(f"{template.name}: gives more than {MAX_RENDERED_CHARACTERS} characters")
    except TimeIsOverError:
        raise TemplateError(f"{template.name}: takes more than {MAX_RENDER_SECONDS} seconds") from None
    return "".join(pieces)
