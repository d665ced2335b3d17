"""Loading the installed plugins as the server does at its start, without making any of their files."""

from __future__ import annotations

from pathlib import Path

from provd.check_places import folder_refusal
from provd.errors import PluginLoadError
from provd.plugins.loader import load_plugin


def look_at_plugins(folder: Path) -> tuple[list[str], list[str]]:
    """The ids of the plugins below `folder`, and what is wrong with them, in sentences. Their code is run."""
    try:
        plugins = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        plugins = []
    except OSError as error:
        return [], [f"{folder}: {error.strerror}"]
    reasons = [(plugin.name, _reason_not_to_load(plugin)) for plugin in plugins]
    return [plugin.name for plugin in plugins], [f"plugin {name}: {reason}" for name, reason in reasons if reason]


def _reason_not_to_load(plugin: Path) -> str | None:
    try:
        load_plugin(plugin)
    except PluginLoadError as error:
        return str(error)
    root = plugin / "var" / "tftpboot"
    refusal = folder_refusal(root)
    return None if refusal is None else f"{root}: {refusal}"
