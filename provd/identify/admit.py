"""Admit: whether a phone that is not known becomes a device."""

from __future__ import annotations

from provd.model.identity import Identity

ADMITTED = "admitted"
UNIDENTIFIED = "refused: the request says neither who made the phone nor which one it is"
UNIDENTIFIED_BEHIND_NAT = "refused: the request does not say which phone it is, and behind NAT that is needed"
UNKNOWN_VENDOR = "refused: no plugin knows the machine that the lease was given to"


def objection(identity: Identity, *, nat: bool = False, needs_vendor: bool = False) -> str | None:
    """Why the phone behind a request cannot become a device by what the request says, or None.

    At least its vendor has to be known, or a key that names the phone itself. Behind NAT only such a key will do:
    without one the phone would not be found again, and each request would make a device. Of a lease the
    MAC address is always known, of computers and printers too, so there the vendor is needed (`needs_vendor`).
    """
    if needs_vendor and not identity.vendor:
        return UNKNOWN_VENDOR
    if any((identity.mac, identity.sn, identity.uuid)):
        return None
    if nat:
        return UNIDENTIFIED_BEHIND_NAT
    return None if identity.vendor else UNIDENTIFIED
