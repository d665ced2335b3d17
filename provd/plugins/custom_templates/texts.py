"""The texts of templates: found below a folder, read, and compared."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from provd.errors import TemplateError
from provd.plugins.sandbox import MAX_TEMPLATE_BYTES
from provd.plugins.templates import CUSTOM, SHIPPED

_MAX_COMPARED_LINES = 5000


def template_names(folder: Path) -> list[str]:
    """The paths of all templates in a folder and those below it, in any letter case."""
    return [
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, names in sorted(os.walk(folder))
        for name in sorted(names)
        if name.casefold().endswith(".tpl")
    ]


def read_template(plugin_folder: Path, path: str) -> str:
    """The text of a template, by its path below the plugin's folder.

    Raises:
        TemplateError: it cannot be read, is no UTF-8, or is too large for a template.
    """
    try:
        with open(plugin_folder / path, "rb") as file:
            content = file.read(MAX_TEMPLATE_BYTES + 1)
        if len(content) > MAX_TEMPLATE_BYTES:
            raise TemplateError(f"cannot be read: larger than {MAX_TEMPLATE_BYTES} bytes", path)
        return content.decode("utf-8")
    except OSError as error:
        raise TemplateError(f"cannot be read: {error.strerror}", path) from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"cannot be read: {error}", path) from error


def shipped_templates(plugin_folder: Path) -> dict[str, str]:
    """The plugin's own templates by path below `templates`; those that cannot be read are left out."""
    return _readable(plugin_folder, SHIPPED)


def custom_templates(plugin_folder: Path) -> dict[str, str]:
    """The administrator's templates by path below `var/templates`; those that cannot be read are left out."""
    return _readable(plugin_folder, CUSTOM)


def unified_diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """What makes `new` out of `old`, in the form of diff -u; empty if there is no difference."""
    if old == new:
        return ""
    old_lines, new_lines = _lines(old), _lines(new)
    if max(len(old_lines), len(new_lines)) > _MAX_COMPARED_LINES:
        return f"--- {old_name}\n+++ {new_name}\n(they differ, and are too long to be compared)\n"
    return "".join(difflib.unified_diff(old_lines, new_lines, old_name, new_name))


def _lines(text: str) -> list[str]:
    """The lines, each with a line feed; what ends without one says so, as diff does."""
    lines = [line + "\n" for line in text.split("\n")]
    if lines[-1] == "\n":
        return lines[:-1]
    return [*lines[:-1], lines[-1] + "\\ No newline at end of file\n"]


def _readable(plugin_folder: Path, below: str) -> dict[str, str]:
    texts = {}
    for name in template_names(plugin_folder / below):
        try:
            texts[name] = read_template(plugin_folder, f"{below}/{name}")
        except TemplateError:
            continue  # (a check says why)
    return texts
