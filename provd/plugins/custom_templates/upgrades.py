"""Which shipped templates changed under a custom one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provd.plugins.custom_templates.originals import note_originals
from provd.plugins.custom_templates.texts import shipped_templates, unified_diff
from provd.plugins.info import PluginInfo
from provd.plugins.templates import SHIPPED


@dataclass(frozen=True, slots=True)
class ChangedOriginal:
    """The shipped template `original` is not what the custom template `path` was made from.

    `plugin` and `version` are those that it was made from; `diff` leads from then to now, and is empty if the shipped
    template is gone (`is_gone`).
    """

    path: str
    original: str
    plugin: str
    version: str
    is_gone: bool
    diff: str


def changed_originals(folder: Path, info: PluginInfo) -> list[ChangedOriginal]:
    """What a custom template of the plugin in `folder` may have to take over, after an upgrade or from another plugin.

    It is told until the custom template is removed or `accept_originals` is called for it.
    """
    origins, shipped = note_originals(folder, info), shipped_templates(folder)
    changed = []
    for path, origin in sorted(origins.items()):
        now = shipped.get(origin.original)
        if now == origin.text:
            continue
        then_name = f"{origin.plugin}/{SHIPPED}/{origin.original} {origin.version}"
        now_name = f"{info.id}/{SHIPPED}/{origin.original} {info.version}"
        diff = "" if now is None else unified_diff(origin.text, now, then_name, now_name)
        changed.append(ChangedOriginal(path, origin.original, origin.plugin, origin.version, now is None, diff))
    return changed
