"""Associate: which plugin a device gets."""

from __future__ import annotations

from collections.abc import Sequence

from provd.model.identity import Support


def best_plugin(levels: Sequence[tuple[str, int]]) -> str | None:
    """The id of the plugin with the highest support level, if that is at least PROBABLE.

    `levels` has the newest version of a family first, and that one wins a tie: 3.10 beats 3.9.
    """
    best, best_level = None, int(Support.PROBABLE) - 1
    for plugin_id, level in levels:
        if level > best_level:
            best, best_level = plugin_id, level
    return best


def fits(plugin_id: str, levels: Sequence[tuple[str, int]]) -> bool:
    """Tell whether a plugin may stay with a phone: it is at least PROBABLE that it supports it."""
    return dict(levels).get(plugin_id, 0) >= Support.PROBABLE
