"""What a custom template is for, by its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from provd.model.mac import normalize_mac
from provd.plugins.custom_templates.unreachable import MAC, is_mentioned

FilesOf = Callable[[str], Iterable[str]]
"""The names of the files of a phone with some MAC address."""


class Kind(StrEnum):
    """Whose files a template makes."""

    BASE = "base"
    """Those of all phones that have no template of their own or of their model."""
    MODEL = "model"
    """Those of one model."""
    DEVICE = "device"
    """One file of one phone."""
    COMMON = "common"
    """A file that all phones share."""
    INCLUDED = "included"
    """Another template includes, extends or imports it."""
    OTHER = "other"
    """Nobody's, or those of a model that the plugin does not know."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a template is for; the model or the MAC address (in stored form) if it is for one."""

    kind: Kind
    model: str | None = None
    mac: str | None = None


def purpose_of(
    name: str, folder: Path, models: Collection[str], shipped: Collection[str], files_of: FilesOf | None = None
) -> Purpose:
    """What the template `name` in `var/templates` of the plugin in `folder` is for.

    Without `files_of` any name with twelve hexadecimal digits in it is one of a phone.
    """
    stem, mac = name.removesuffix(".tpl"), MAC.search(name)
    if name == "base.tpl":
        return Purpose(Kind.BASE)
    if name.startswith("common/"):
        return Purpose(Kind.COMMON)
    if stem in models:
        return Purpose(Kind.MODEL, model=stem)
    if mac and "/" not in name and (files_of is None or stem in files_of(mac[0])):
        return Purpose(Kind.DEVICE, mac=normalize_mac(mac[0]))
    if name in shipped or is_mentioned(name, folder):
        return Purpose(Kind.INCLUDED)
    return Purpose(Kind.OTHER)
