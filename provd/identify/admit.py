"""Admit: whether a phone that is not known becomes a device."""

from __future__ import annotations

from provd.model.identity import Identity


def is_admissible(identity: Identity) -> bool:
    """Tell whether a request says enough of a phone: at least its vendor, or a key that names the phone itself."""
    return any((identity.vendor, identity.mac, identity.sn, identity.uuid))
