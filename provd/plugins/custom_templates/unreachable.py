"""Custom templates that no look-up finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from provd.plugins.custom_templates.texts import template_names
from provd.plugins.models import Model
from provd.plugins.templates import CUSTOM, SHIPPED

MAC = re.compile(r"[0-9A-Fa-f]{12}")


def unreachable_templates(
    folder: Path, models: Mapping[str, Model], files_of: Callable[[str], Iterable[str]]
) -> dict[str, str]:
    """The administrator's templates that no look-up finds, by path below `var/templates`, each with the reason.

    `models` are those of the plugin installed in `folder`; `files_of` gives the names of the files of a phone with
    some MAC address, given without colons. Only what is surely a mistake is named: what another template mentions may
    be used by that one.
    """
    shipped, custom = (template_names(folder / below) for below in (SHIPPED, CUSTOM))
    known = {"base.tpl", *shipped, *(f"{model}.tpl" for model in models)}
    own_names = {name: model.name for model in models.values() for name in model.names if name != model.name}
    reasons = {name: _why_unreachable(name, known, own_names, files_of) for name in custom}
    return {name: reason for name, reason in reasons.items() if reason and not is_mentioned(name, folder)}


def _why_unreachable(
    name: str, known: Iterable[str], own_names: Mapping[str, str], files_of: Callable[[str], Iterable[str]]
) -> str | None:
    mac = MAC.search(name)
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


def is_mentioned(name: str, folder: Path) -> bool:
    """Tell whether a template stands between quotes in another one of the plugin, which then may include it."""
    for path in (folder / below / each for below in (SHIPPED, CUSTOM) for each in template_names(folder / below)):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # (who renders it says why it cannot be read)
        if f'"{name}"' in text or f"'{name}'" in text:
            return True
    return False
