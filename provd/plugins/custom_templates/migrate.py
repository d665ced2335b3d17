"""Copying custom templates from one plugin to another."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from provd.atomicfile import write_file
from provd.errors import InvalidValueError, TemplateError
from provd.plugins.custom_templates.kinds import Kind, purpose_of
from provd.plugins.custom_templates.originals import Origin, note_originals, origins_now, write_origins
from provd.plugins.custom_templates.texts import read_template, shipped_templates, template_names, unified_diff
from provd.plugins.info import PluginInfo, read_plugin_info
from provd.plugins.templates import CUSTOM, SHIPPED


class Outcome(StrEnum):
    """What became of a custom template."""

    COPIED = "copied"
    """It is in the other plugin now; in a dry run, it would be."""
    IDENTICAL = "identical"
    """The same text was there."""
    CONFLICT = "conflict"
    """Another text was there, and is kept."""
    FAILED = "failed"
    """It could not be read or written."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of one custom template, and what to look at before phones use it.

    Args:
        original: the shipped template that it was made from, if there is one.
        original_is_missing: the other plugin has no such template.
        original_diff: from what it was made from to that template of the other plugin; empty if they are the same.
        unknown_model: the other plugin has no such model, so that the template may be for no phone of it.
        conflict_diff: from the text that was kept to this one.
        reason: why it failed.
    """

    path: str
    outcome: Outcome
    original: str | None = None
    original_is_missing: bool = False
    original_diff: str = ""
    unknown_model: bool = False
    conflict_diff: str = ""
    reason: str | None = None


def migrate(from_folder: Path, to_folder: Path, *, dry_run: bool = False) -> list[Migrated]:
    """Copy the custom templates of the plugin in one folder to the plugin in another, and tell of each.

    Nothing that is there is overwritten. What the templates were made from goes with them, so that the new plugin's
    differences are told until somebody has accepted them. Only templates are copied, not other files.

    Raises:
        InvalidValueError: both are the same plugin.
        PluginLoadError: one of them is no plugin.
    """
    if from_folder.resolve() == to_folder.resolve():
        raise InvalidValueError("to", to_folder.name, "another plugin than the one to copy from")
    migration = _Migration(from_folder, to_folder, dry_run)
    report = [migration.move(name) for name in template_names(from_folder / CUSTOM)]
    migration.end(report)
    return report


class _Migration:
    """What is known of both plugins."""

    def __init__(self, from_folder: Path, to_folder: Path, dry_run: bool) -> None:
        self._from, self._to, self._dry_run = from_folder, to_folder, dry_run
        self._from_info, self._to_info = read_plugin_info(from_folder), read_plugin_info(to_folder)
        self._origins = origins_now(from_folder, self._from_info)
        self._shipped = shipped_templates(to_folder)

    def move(self, name: str) -> Migrated:
        """Copy one template if the place is free."""
        try:
            text = read_template(self._from, f"{CUSTOM}/{name}")
            if (self._to / CUSTOM / name).exists():
                return self._there(name, text, read_template(self._to, f"{CUSTOM}/{name}"))
            if not self._dry_run:
                self._copy(name, text)
        except TemplateError as error:
            return Migrated(name, Outcome.FAILED, reason=str(error))
        except OSError as error:
            return Migrated(name, Outcome.FAILED, reason=f"{self._to / CUSTOM / name}: {error.strerror}")
        return self._told(name, Outcome.COPIED)

    def end(self, report: list[Migrated]) -> None:
        """Note in the new plugin what the copies were made from."""
        if self._dry_run:
            return
        origins = note_originals(self._to, self._to_info)
        copied = (each.path for each in report if each.outcome is Outcome.COPIED)
        carried = {path: self._origins[path] for path in copied if path in self._origins}
        if carried:
            write_origins(self._to, {**origins, **{path: self._in_new(origin) for path, origin in carried.items()}})

    def _in_new(self, origin: Origin) -> Origin:
        """The new plugin's template, if the text is the same."""
        if self._shipped.get(origin.original) == origin.text:
            return Origin(origin.original, self._to_info.id, self._to_info.version, origin.text)
        return origin

    def _there(self, name: str, text: str, other: str) -> Migrated:
        if text == other:
            return self._told(name, Outcome.IDENTICAL)
        names = [f"{folder.name}/{CUSTOM}/{name}" for folder in (self._to, self._from)]
        return self._told(name, Outcome.CONFLICT, unified_diff(other, text, *names))

    def _copy(self, name: str, text: str) -> None:
        target = self._to / CUSTOM / name
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE((self._from / CUSTOM / name).stat().st_mode) & 0o666 | 0o600
        write_file(target, text.encode(), mode=mode)

    def _told(self, name: str, outcome: Outcome, conflict_diff: str = "") -> Migrated:
        origin = self._origins.get(name)
        original = origin.original if origin else None
        return Migrated(
            name,
            outcome,
            original=original,
            original_is_missing=original is not None and original not in self._shipped,
            original_diff=self._original_diff(origin) if origin else "",
            unknown_model=self._is_of_unknown_model(name, self._from_info),
            conflict_diff=conflict_diff,
        )

    def _original_diff(self, origin: Origin) -> str:
        now = self._shipped.get(origin.original)
        if now is None:
            return ""
        old = f"{origin.plugin}/{SHIPPED}/{origin.original} {origin.version}"
        new = f"{self._to_info.id}/{SHIPPED}/{origin.original} {self._to_info.version}"
        return unified_diff(origin.text, now, old, new)

    def _is_of_unknown_model(self, name: str, info: PluginInfo) -> bool:
        purpose = purpose_of(name, self._from, info.models, shipped_templates(self._from))
        is_for_a_model = purpose.kind is Kind.MODEL or (purpose.kind is Kind.OTHER and "/" not in name)
        return is_for_a_model and name.removesuffix(".tpl") not in self._to_info.models
