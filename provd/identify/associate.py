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


def may_stay(plugin_id: str, levels: Sequence[tuple[str, int]], *, is_claimed: bool) -> bool:
    """Tell whether a device keeps its plugin after more became known of it than when that was chosen.

    The plugin of a device that somebody has taken care of stays if it is at least PROBABLE that it supports the phone;
    that of another one was the server's own choice, and stays if none is better.
    """
    known = dict(levels)
    own = known.get(plugin_id, 0)
    return own >= Support.PROBABLE and (is_claimed or own >= max(known.values()))
