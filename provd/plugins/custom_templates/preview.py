"""A device's files as they would be now, beside what it is served."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from provd.errors import PluginError, TemplateError
from provd.plugins.api import File
from provd.plugins.custom_templates.findings import Finding, Severity, finding_of
from provd.plugins.custom_templates.masking import Mask, masked_raw_config
from provd.plugins.custom_templates.texts import unified_diff
from provd.plugins.loader import LoadedPlugin
from provd.plugins.rendering import check_file_path, render_device_files, template_names
from provd.plugins.templates import TemplateSet


class State(StrEnum):
    """How a file would differ from the one that is served."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FilePreview:
    """One file of a device.

    Args:
        path: below `var/tftpboot`.
        template: the one that makes it, below the plugin's folder; None if the plugin gives the text itself.
        text: as it would be; None if it would be removed, or fails.
        diff: from the file that is served; empty if they are the same.
        error: why it fails.
    """

    path: str
    state: State
    template: str | None = None
    text: str | None = None
    diff: str = ""
    error: Finding | None = None


def preview_device(
    plugin: LoadedPlugin,
    device: Mapping[str, Any],
    raw_config: Mapping[str, Any],
    *,
    texts: Mapping[str, str] | None = None,
    served: Iterable[str] = (),
    show_secrets: bool = False,
) -> list[FilePreview]:
    """Render a device's files without writing anything.

    Args:
        plugin: the device's.
        device: its document.
        raw_config: its raw config, prepared for plugins.
        texts: templates to use in place of those in `var/templates`, by path below that folder.
        served: paths of the files that the device has now; those that it would no longer have are told.
        show_secrets: passwords and keys are not masked.

    Raises:
        PluginError: the plugin cannot configure the device.
    """
    preview = _Preview(plugin, device, raw_config, texts or {}, show_secrets=show_secrets)
    return [*preview.files(), *preview.removed(served)]


class _Preview:
    """The files from the real raw config and, to know where its secrets are, from a masked one."""

    def __init__(
        self,
        plugin: LoadedPlugin,
        device: Mapping[str, Any],
        raw_config: Mapping[str, Any],
        texts: Mapping[str, str],
        *,
        show_secrets: bool,
    ) -> None:
        self._root = plugin.folder / "var" / "tftpboot"
        self._model, self._show_secrets = device.get("model"), show_secrets
        self._templates = plugin.templates.with_texts(texts)
        self._raw, self._masked_raw = dict(raw_config), masked_raw_config(raw_config)
        self._files = _declared(plugin, device, self._raw)
        try:
            masked = _declared(plugin, device, self._masked_raw)
        except PluginError:
            masked = []  # (then each line is cut)
        self._masked_files = {file.path: file for file in masked}

    def files(self) -> list[FilePreview]:
        """Those that the plugin declares."""
        return [self._file(file) for file in self._files]

    def removed(self, served: Iterable[str]) -> list[FilePreview]:
        """Those that would go."""
        gone = [path for path in served if path not in {file.path for file in self._files}]
        mask = Mask("", None, self._raw)
        found = []
        for path in gone:
            old = _read(self._root, path, "utf-8") or ""
            diff = unified_diff(old, "", f"served/{path}", "/dev/null")
            found.append(FilePreview(path, State.REMOVED, diff=diff if self._show_secrets else mask.diff(diff)))
        return found

    def _file(self, file: File) -> FilePreview:
        names = template_names(file, self._model)
        template = self._templates.place_of(names) if file.content is None else None
        try:
            text = self._rendered(self._templates, file, self._raw)
        except PluginError as error:
            return FilePreview(file.path, State.FAILED, template, error=self._finding(error, file.path))
        mask = Mask(text, self._masked_text(file.path), self._raw)
        old = _read(self._root, file.path, file.encoding)
        diff = unified_diff(old or "", text, f"served/{file.path}" if old is not None else "/dev/null", file.path)
        state = State.NEW if old is None else State.CHANGED if diff else State.SAME
        if self._show_secrets:
            return FilePreview(file.path, state, template, text, diff)
        return FilePreview(file.path, state, template, mask.text(text), mask.diff(diff))

    def _masked_text(self, path: str) -> str | None:
        file = self._masked_files.get(path)
        try:
            return self._rendered(self._templates, file, self._masked_raw) if file else None
        except PluginError:
            return None

    def _rendered(self, templates: TemplateSet, file: File, raw_config: Mapping[str, Any]) -> str:
        (rendered,) = render_device_files([file], templates, self._model, raw_config)
        return rendered.content.decode(file.encoding)

    def _finding(self, error: PluginError, path: str) -> Finding:
        place = f"var/tftpboot/{path}"
        if isinstance(error, TemplateError):
            found = finding_of(error, place)
        else:
            found = Finding(place, None, Severity.ERROR, str(error))
        message = found.message if self._show_secrets else Mask("", None, self._raw).message(found.message)
        return Finding(found.path, found.line, found.severity, message)


def _declared(plugin: LoadedPlugin, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> list[File]:
    try:
        return list(plugin.code.device_files(copy.deepcopy(dict(device)), copy.deepcopy(dict(raw_config))))
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"the plugin's code fails: {type(error).__name__}: {error}") from error


def _read(root: Path, path: str, encoding: str) -> str | None:
    """The file that is served now, or None."""
    try:
        return (root / check_file_path(path)).read_bytes().decode(encoding, "replace")
    except (OSError, LookupError):
        return None
