"""Settings that are read again while the server runs: what changed, and what of it needs a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provd.settings import OPTIONS, Settings


@dataclass(frozen=True, slots=True)
class Changes:
    """What reading the settings again gives."""

    settings: Settings
    """Those to use from now on: what needs a restart is as it was."""
    at_once: Sequence[str]
    """The options of which a new value is used from now on."""
    after_restart: Sequence[str]
    """The options of which a new value is used only after a restart."""


def compare(used: Settings, found: Settings) -> Changes:
    """Take from the settings that were found what can be used at once, and say what that is and what cannot."""
    changed = [option for option in OPTIONS if used[option.name] != found[option.name]]
    at_once = [option.name for option in changed if option.reloadable]
    return Changes(
        settings=Settings({**used.values, **{name: found[name] for name in at_once}}, found.files),
        at_once=at_once,
        after_restart=[option.name for option in changed if not option.reloadable],
    )
