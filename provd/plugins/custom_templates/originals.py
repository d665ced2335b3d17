"""Which shipped template a custom one was made from, and what that one said then.

It is kept in `var/.custom-templates.json` of the plugin, with the texts. `var` stays when the plugin is upgraded and
goes with the custom templates when it is uninstalled; nothing in it is served but what is below `tftpboot`; and it is
not in `var/templates`, which administrators copy from plugin to plugin: there the file would be wrong.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provd.atomicfile import write_file
from provd.plugins.custom_templates.kinds import Kind, purpose_of
from provd.plugins.custom_templates.texts import custom_templates, shipped_templates, template_names
from provd.plugins.info import PluginInfo
from provd.plugins.templates import CUSTOM

log = logging.getLogger(__name__)

FILE_NAME = "var/.custom-templates.json"

ModelOf = Callable[[str], str | None]
"""The model of the phone with a MAC address, if it is known."""

_MUCH_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Origin:
    """The shipped template `original` of a plugin's version that a custom template was made from, and its text."""

    original: str
    plugin: str
    version: str
    text: str

    @property
    def sha256(self) -> str:
        """The text's digest."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def note_originals(folder: Path, info: PluginInfo, model_of: ModelOf | None = None) -> dict[str, Origin]:
    """Note for each custom template that is not known yet what it is made from; return what is known of all.

    Do this before an upgrade replaces the shipped templates: it cannot be found out later. That it cannot be written
    is only logged.
    """
    origins = origins_now(folder, info, model_of)
    if origins != read_origins(folder):
        write_origins(folder, origins)
    return origins


def origins_now(folder: Path, info: PluginInfo, model_of: ModelOf | None = None) -> dict[str, Origin]:
    """What custom templates are made from, as it is known, or else as it is now; nothing is written.

    A custom template that is still the same as the shipped one was surely made from that. One that has no shipped
    counterpart is left out.
    """
    known, shipped, texts = read_origins(folder), shipped_templates(folder), custom_templates(folder)
    origins = {}
    for name in template_names(folder / CUSTOM):
        origin, text = known.get(name), texts.get(name)
        if text is not None and (origin is None or text == shipped.get(origin.original)):
            original = origin.original if origin else _original_of(name, text, folder, info, shipped, model_of)
            if original is None:
                continue
            origin = Origin(original, info.id, info.version, shipped[original])
        if origin is not None:
            origins[name] = origin
    return origins


def accept_originals(folder: Path, info: PluginInfo, names: Iterable[str]) -> None:
    """Note that custom templates go with the shipped ones as they are now: somebody has looked at the difference."""
    origins, shipped = note_originals(folder, info), shipped_templates(folder)
    for name in names:
        origin = origins.get(name)
        if origin is not None and origin.original in shipped:
            origins[name] = Origin(origin.original, info.id, info.version, shipped[origin.original])
    write_origins(folder, origins)


def read_origins(folder: Path) -> dict[str, Origin]:
    """What was noted; nothing if there is no note, or it is damaged."""
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): _parse(entry, data["texts"]) for name, entry in data["templates"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("what custom templates were made from is not known: file=%s error=%r", path, str(error))
        return {}


def write_origins(folder: Path, origins: Mapping[str, Origin]) -> None:
    """Put the note down; that it cannot be written is only logged."""
    templates = {
        name: {"original": each.original, "plugin": each.plugin, "version": each.version, "sha256": each.sha256}
        for name, each in sorted(origins.items())
    }
    texts = {each.sha256: each.text for each in origins.values()}
    content = json.dumps({"templates": templates, "texts": texts}, indent=1, ensure_ascii=False) + "\n"
    try:
        write_file(folder / FILE_NAME, content.encode())
    except OSError as error:
        log.warning("cannot be written: file=%s error=%r", folder / FILE_NAME, error.strerror)


def _parse(entry: Mapping[str, Any], texts: Mapping[str, Any]) -> Origin:
    return Origin(str(entry["original"]), str(entry["plugin"]), str(entry["version"]), str(texts[entry["sha256"]]))


def _original_of(
    name: str, text: str, folder: Path, info: PluginInfo, shipped: Mapping[str, str], model_of: ModelOf | None
) -> str | None:
    """The shipped template of the same name, or the one that would be used without the custom one.

    A phone's own template may be a copy of any other: it is the one that it is most like.
    """
    if name in shipped:
        return name
    purpose = purpose_of(name, folder, info.models, shipped)
    if purpose.kind not in (Kind.MODEL, Kind.DEVICE, Kind.OTHER) or "/" in name:
        return None
    model = model_of(purpose.mac) if purpose.mac and model_of is not None else None
    usual = f"{model}.tpl" if f"{model}.tpl" in shipped else "base.tpl"
    if purpose.kind is Kind.DEVICE:
        candidates = [usual, *(each for each in shipped if "/" not in each and each != usual)]
        best = max(candidates, key=lambda each: _likeness(text, shipped.get(each, "")))
        usual = best if _likeness(text, shipped.get(best, "")) > _MUCH_ALIKE else usual
    return usual if usual in shipped else None


def _likeness(one: str, other: str) -> float:
    """From 0 to 1, as quickly as it can be told."""
    return difflib.SequenceMatcher(None, one.splitlines(), other.splitlines()).quick_ratio()
