"""Extract: what all plugins together make of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from provd.model.identity import IDENTITY_KEYS, Identity
from provd.model.mac import is_normalized_mac

NOBODY = Identity()
_MAX_VALUE_LENGTH = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Answers = Sequence[tuple[str, Identity]]
"""Plugin ids with what they made of a request, the newest version of a family first."""


def combine(answers: Answers, support_of: Callable[[str, Identity], int]) -> Identity:
    """Combine the plugins' answers, key by key: each plugin has one vote for each key that it gives.

    A tie goes to the value whose plugin supports the phone best by its own answer (`support_of`), then to the newest
    version, which comes first. Values that no phone has are not counted.
    """
    if not answers:
        return NOBODY
    first = answers[0][1]
    if all(identity == first for _, identity in answers):
        return cleaned(first)
    votes = [(plugin_id, cleaned(identity)) for plugin_id, identity in answers]
    return Identity(**{key: _winner(key, votes, support_of) for key in IDENTITY_KEYS})


def cleaned(identity: Identity) -> Identity:
    """The identity without values that no phone has: over-long ones, and such with control characters."""
    for key in IDENTITY_KEYS:
        value = getattr(identity, key)
        if value is not None and not _is_plausible(key, value):
            return Identity(**{key: value for key, value in identity.known().items() if _is_plausible(key, value)})
    return identity


def _winner(key: str, votes: Answers, support_of: Callable[[str, Identity], int]) -> str | None:
    counts: dict[str, int] = {}
    for _, identity in votes:
        value = getattr(identity, key)
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        return None
    most = max(counts.values())
    tied = [value for value, count in counts.items() if count == most]
    if len(tied) == 1:
        return tied[0]
    best: dict[str, int] = {}
    for plugin_id, identity in votes:
        value = getattr(identity, key)
        if value in tied:
            best[value] = max(best.get(value, 0), support_of(plugin_id, identity))
    return max(tied, key=lambda value: best[value])  # the first of equals: the newest version's


def _is_plausible(key: str, value: object) -> bool:
    if key == "mac":
        return is_normalized_mac(value)
    return isinstance(value, str) and 0 < len(value) <= _MAX_VALUE_LENGTH and not _CONTROL.search(value)
