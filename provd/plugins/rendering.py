"""From the files that a plugin declares to their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provd.errors import PluginError, TemplateError
from provd.plugins.api import File
from provd.plugins.templates import MAX_RENDERED_CHARACTERS, TemplateSet

_MAX_SEGMENT_BYTES = 255


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file's bytes, and what the plugin says of it."""

    path: str
    content: bytes
    sensitive: bool
    proves_sync: bool


def render_device_files(
    files: Iterable[File], templates: TemplateSet, model: str | None, raw_config: Mapping[str, Any]
) -> list[RenderedFile]:
    """Render the files of one device from `<file name>.tpl`, `<model>.tpl` or `base.tpl`, the first that exists.

    Raises:
        PluginError: the plugin declares an impossible path, or a template fails.
    """
    return [_render(file, templates, template_names(file, model), raw_config) for file in files]


def template_names(file: File, model: str | None) -> list[str]:
    """The names of the templates that can make a device's file; the first that exists does."""
    model_names = [f"{model}.tpl"] if model else []
    return [f"{_base_name(file)}.tpl", *model_names, "base.tpl"]


def render_common_files(
    files: Iterable[File], templates: TemplateSet, raw_config: Mapping[str, Any]
) -> list[RenderedFile]:
    """Render the files that all phones of a plugin share, from `common/<file name>.tpl`.

    Raises:
        PluginError: as above.
    """
    return [_render(file, templates, [f"common/{_base_name(file)}.tpl"], raw_config) for file in files]


def check_file_path(path: str) -> str:
    """Return `path` if it names a file below a plugin's `var/tftpboot`.

    Raises:
        PluginError: it is absolute, leaves the folder, is hidden (and so never served), or no file system takes it.
    """
    segments = path.split("/")
    for segment in segments:
        if not segment or segment[0] == "." or "\0" in segment or len(segment.encode()) > _MAX_SEGMENT_BYTES:
            raise PluginError(f"the plugin declares a file with an impossible path: {path!r}")
    return path


def _base_name(file: File) -> str:
    return file.path.rpartition("/")[2]


def _render(
    file: File, templates: TemplateSet, names: list[str], raw_config: Mapping[str, Any]
) -> RenderedFile:
    check_file_path(file.path)
    text = file.content
    if text is None:
        text = templates.render(names, {**raw_config, **file.context})
    elif len(text) > MAX_RENDERED_CHARACTERS:
        raise PluginError(f"{file.path}: has more than {MAX_RENDERED_CHARACTERS} characters")
    try:
        content = text.encode(file.encoding)
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise TemplateError(f"{file.path}: {character!r} cannot be written in {file.encoding}") from error
    except LookupError as error:
        raise PluginError(f"{file.path}: there is no encoding {file.encoding!r}") from error
    return RenderedFile(file.path, content, file.sensitive, file.proves_sync)
