"""What is customised in a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from provd.plugins.custom_templates.kinds import Kind, purpose_of
from provd.plugins.custom_templates.originals import ModelOf, Origin, note_originals
from provd.plugins.custom_templates.texts import custom_templates, shipped_templates, template_names
from provd.plugins.custom_templates.unreachable import unreachable_templates
from provd.plugins.loader import LoadedPlugin, device_file_names
from provd.plugins.templates import CUSTOM


@dataclass(frozen=True, slots=True)
class CustomTemplate:
    """A template in `var/templates`; `path` is below that folder.

    Args:
        kind: whose files it makes, and `model` or `mac` which ones.
        origin: the shipped template that it was made from, as that was then; None if there is none.
        original_changed: the shipped template says something else now, or is gone.
        is_a_mere_copy: it says what the shipped template says, which it keeps from being upgraded.
        unreachable: why it is never used, or None.
    """

    path: str
    kind: Kind
    model: str | None
    mac: str | None
    origin: Origin | None
    original_changed: bool
    is_a_mere_copy: bool
    unreachable: str | None


def list_custom_templates(plugin: LoadedPlugin, model_of: ModelOf | None = None) -> list[CustomTemplate]:
    """All custom templates of a plugin, by path; what they are made from is noted if it was not."""
    origins = note_originals(plugin.folder, plugin.info, model_of)
    shipped, texts = shipped_templates(plugin.folder), custom_templates(plugin.folder)
    files_of = partial(device_file_names, plugin)
    unreachable = unreachable_templates(plugin.folder, plugin.info.models, files_of)
    found = []
    for name in template_names(plugin.folder / CUSTOM):
        purpose, origin = purpose_of(name, plugin.folder, plugin.info.models, shipped, files_of), origins.get(name)
        now = shipped.get(origin.original) if origin else None
        found.append(
            CustomTemplate(
                path=name,
                kind=purpose.kind,
                model=purpose.model,
                mac=purpose.mac,
                origin=origin,
                original_changed=origin is not None and now != origin.text,
                is_a_mere_copy=now is not None and texts.get(name) == now,
                unreachable=unreachable.get(name),
            )
        )
    return found
