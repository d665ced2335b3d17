"""Templates of one plugin: Jinja2 in a sandbox, the administrator's `var/templates` before the shipped `templates`."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from provd.errors import TemplateError
from provd.plugins.limits import LimitExceededError, limits
from provd.plugins.models import Model
from provd.plugins.sandbox import OverridingLoader, TemplateEnvironment

MAX_RENDERED_CHARACTERS = 4 * 1024 * 1024
MAX_RENDER_SECONDS = 2.0
MAX_RENDER_BYTES = 64 * 1024 * 1024

_MAC = re.compile(r"[0-9A-Fa-f]{12}")


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
        template = None
        try:
            with limits(MAX_RENDER_SECONDS, MAX_RENDER_BYTES):
                template = self._first_of(names)
                return _bounded_text(template, template_value(context))
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(self._located(error.filename, error.lineno, error.message or "")) from error
        except LimitExceededError as error:
            raise TemplateError(self._stopped(error, template)) from None
        except TemplateError:
            raise
        except Exception as error:  # (a template may raise anything; it harms only its files)
            raise TemplateError(self._described(error)) from error

    def _first_of(self, names: Sequence[str]) -> jinja2.Template:
        try:
            return self._environment.select_template(names)
        except jinja2.TemplatesNotFound:
            folders = f"{self._folder}var/templates and {self._folder}templates"
            raise TemplateError(f"no template found; looked for {', '.join(names)} in {folders}") from None

    def _described(self, error: Exception) -> str:
        """What went wrong and where: Jinja2 puts the template's lines into the traceback."""
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, RecursionError):
            message = "RecursionError: templates or macros include, extend or call one another without end"
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(self._folder):
                return self._located(frame.filename, frame.lineno, message)
        return message

    def _stopped(self, error: BaseException, template: jinja2.Template | None) -> str:
        """Where a template was when its limit was reached; Jinja2 does not put its lines into this traceback."""
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            running = frame.f_globals.get("__jinja_template__")
            if running is not None:
                return self._located(running.filename, running.get_corresponding_lineno(line), str(error))
        return f"{self._relative(template.filename)}: {error}" if template is not None else str(error)

    def _located(self, filename: str | None, line: int | None, message: str) -> str:
        return f"{self._relative(filename)}, line {line}: {message}"

    def _relative(self, filename: str | None) -> str:
        return (filename or "?").removeprefix(self._folder)


def template_value(value: Any) -> Any:
    """`value` with each dict in it, at any depth, as a `TemplateDict`."""
    if isinstance(value, Mapping):
        return TemplateDict((key, template_value(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [template_value(item) for item in value]
    return value


def unreachable_templates(
    folder: Path, models: Mapping[str, Model], files_of: Callable[[str], Iterable[str]]
) -> dict[str, str]:
    """The administrator's templates that no look-up finds, by path below `var/templates`, each with the reason.

    `models` are those of the plugin installed in `folder`; `files_of` gives the names of the files of a phone with
    some MAC address, given without colons. Only what is surely a mistake is named: what another template mentions may
    be used by that one.
    """
    shipped, custom = (list(_templates_below(folder / below)) for below in ("templates", "var/templates"))
    known = {"base.tpl", *shipped, *(f"{model}.tpl" for model in models)}
    own_names = {name: model.name for model in models.values() for name in model.names if name != model.name}
    reasons = {name: _why_unreachable(name, known, own_names, files_of) for name in custom}
    paths = [*(folder / "templates" / name for name in shipped), *(folder / "var/templates" / name for name in custom)]
    return {name: reason for name, reason in reasons.items() if reason and not _is_mentioned(name, paths)}


def _why_unreachable(
    name: str, known: Iterable[str], own_names: Mapping[str, str], files_of: Callable[[str], Iterable[str]]
) -> str | None:
    mac = _MAC.search(name)
    reachable = [*known, *(f"{file}.tpl" for file in (files_of(mac[0]) if mac else ()))]
    if name in reachable:
        return None
    for other in reachable:
        if name.casefold() == other.casefold():
            return f"letter case counts: the name that is looked for is {other}"
    for own_name, model in own_names.items():
        if name.casefold() == f"{own_name}.tpl".casefold():
            return f"the model of such phones is {model}, so the name that is looked for is {model}.tpl"
    if "/" in name and not name.startswith("common/"):
        return "templates of phones and models are looked for in var/templates itself, not in a folder below it"
    return None


def _templates_below(folder: Path) -> Iterator[str]:
    """The paths of all templates in a folder and those below it, in any letter case."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if name.casefold().endswith(".tpl"):
                yield (Path(place) / name).relative_to(folder).as_posix()


def _is_mentioned(name: str, paths: Iterable[Path]) -> bool:
    """Tell whether a template stands between quotes in another one, which then may include it."""
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # (who renders it says why it cannot be read)
        if f'"{name}"' in text or f"'{name}'" in text:
            return True
    return False


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
