"""Templates of one plugin: Jinja2 in a sandbox, the administrator's `var/templates` before the shipped `templates`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes

from provd.errors import TemplateError
from provd.plugins.limits import LimitExceededError, limits
from provd.plugins.sandbox import OverridingLoader, TemplateEnvironment

MAX_RENDERED_CHARACTERS = 4 * 1024 * 1024
MAX_RENDER_SECONDS = 2.0
MAX_RENDER_BYTES = 64 * 1024 * 1024

SHIPPED, CUSTOM = "templates", "var/templates"
"""The two folders of a plugin's templates, below its own: the shipped ones, and the administrator's."""


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
        self,
        folder: Path,
        *,
        escape_xml: bool = False,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self._loader = OverridingLoader([folder / CUSTOM, folder / SHIPPED], texts)
        self._environment = TemplateEnvironment(loader=self._loader, autoescape=escape_xml)
        self._environment.filters.update(filters or {})
        self._folder = str(folder) + os.sep

    def with_texts(self, texts: Mapping[str, str]) -> TemplateSet:
        """The same templates, but with some texts in place of what is in `var/templates`, by path below that folder."""
        escape_xml, filters = bool(self._environment.autoescape), self._environment.filters
        return TemplateSet(Path(self._folder), escape_xml=escape_xml, filters=filters, texts=texts)

    @property
    def built_in_names(self) -> frozenset[str]:
        """What templates may use without anybody giving it to them, such as `range`."""
        return frozenset(self._environment.globals)

    def place_of(self, names: Sequence[str]) -> str | None:
        """The path below the plugin's folder of the template that `render` would take, or None if there is none."""
        found = (self._loader.place_of(name) for name in names)
        return next((self._relative(place) for place in found if place is not None), None)

    def parse(self, name: str, text: str) -> nodes.Template:
        """The structure of a text that is to be the custom template `name`.

        Raises:
            TemplateError: it is no template; the error says where and why.
        """
        filename = f"{self._folder}{CUSTOM}/{name}"
        try:
            with limits(MAX_RENDER_SECONDS, MAX_RENDER_BYTES):
                self._environment.compile(text, name, filename)
                return self._environment.parse(text, name, filename)
        except jinja2.TemplateSyntaxError as error:
            raise self._located(error.filename, error.lineno, error.message or "") from error
        except LimitExceededError as error:
            raise TemplateError(str(error), f"{CUSTOM}/{name}") from None
        except Exception as error:  # (the compiler meets whatever somebody wrote)
            raise TemplateError(_message(error), f"{CUSTOM}/{name}") from error

    def render(self, names: Sequence[str], context: Mapping[str, Any]) -> str:
        """Render the first template of `names` that exists.

        Raises:
            TemplateError: none exists, or it fails; the message names the template's file and line.
        """
        template = None
        try:
            with limits(MAX_RENDER_SECONDS, MAX_RENDER_BYTES):
                template = self._first_of(names)
                return _bounded_text(template, template_value(context))
        except jinja2.TemplateSyntaxError as error:
            raise self._located(error.filename, error.lineno, error.message or "") from error
        except LimitExceededError as error:
            raise self._stopped(error, template) from None
        except TemplateError:
            raise
        except Exception as error:  # (a template may raise anything; it harms only its files)
            raise self._described(error) from error

    def _first_of(self, names: Sequence[str]) -> jinja2.Template:
        try:
            return self._environment.select_template(names)
        except jinja2.TemplatesNotFound:
            folders = f"{self._folder}var/templates and {self._folder}templates"
            raise TemplateError(f"no template found; looked for {', '.join(names)} in {folders}") from None

    def _described(self, error: Exception) -> TemplateError:
        """What went wrong and where: Jinja2 puts the template's lines into the traceback."""
        message = _message(error)
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(self._folder):
                return self._located(frame.filename, frame.lineno, message)
        return TemplateError(message)

    def _stopped(self, error: BaseException, template: jinja2.Template | None) -> TemplateError:
        """Where a template was when its limit was reached; Jinja2 does not put its lines into this traceback."""
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            running = frame.f_globals.get("__jinja_template__")
            if running is not None:
                return self._located(running.filename, running.get_corresponding_lineno(line), str(error))
        return TemplateError(str(error), self._relative(template.filename) if template is not None else None)

    def _located(self, filename: str | None, line: int | None, message: str) -> TemplateError:
        return TemplateError(message, self._relative(filename), line)

    def _relative(self, filename: str | None) -> str:
        return (filename or "?").removeprefix(self._folder)


def _message(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "RecursionError: templates or macros include, extend or call one another without end"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def template_value(value: Any) -> Any:
    """`value` with each dict in it, at any depth, as a `TemplateDict`."""
    if isinstance(value, Mapping):
        return TemplateDict((key, template_value(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [template_value(item) for item in value]
    return value


def _bounded_text(template: jinja2.Template, context: Mapping[str, Any]) -> str:
    """Render, and give up when too much comes out."""
    pieces: list[str] = []
    length = 0
    for piece in template.generate(context):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_RENDERED_CHARACTERS:
            raise TemplateError(f"{template.name}: gives more than {MAX_RENDERED_CHARACTERS} characters")
    return "".join(pieces)
