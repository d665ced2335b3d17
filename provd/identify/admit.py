"""Admit: whether a phone that is not known becomes a device."""

from __future__ import annotations

from provd.model.identity import Identity


def is_admissible(identity: Identity, *, nat: bool = False) -> bool:
    """Tell whether a request says enough of a phone: at least its vendor, or a key that names the phone itself.

    Behind NAT only a key will do: without one the phone would not be found again, and each request would make a device.
    """
    return any((identity.mac, identity.sn, identity.uuid)) or bool(identity.vendor and not nat)
