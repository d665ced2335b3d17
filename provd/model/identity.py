"""What a request says about the phone that sent it, and how well a plugin fits such a phone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a phone; None where the request does not tell.

    `mac` is in stored form (`00:08:5d:2e:ec:fb`), `uuid` is lower-case and dashed, the rest is as the vendor
    writes it.
    """

    vendor: str | None = None
    model: str | None = None
    version: str | None = None
    mac: str | None = None
    sn: str | None = None
    uuid: str | None = None

    def known(self) -> dict[str, str]:
        """The keys that are known, as a device document has them."""
        return {key: value for key in IDENTITY_KEYS if (value := getattr(self, key)) is not None}


IDENTITY_KEYS = ("vendor", "model", "version", "mac", "sn", "uuid")


class Support(IntEnum):
    """How well a plugin supports a phone. A plugin is chosen from PROBABLE on; any integer is allowed."""

    NONE = 0
    """It is known not to work."""
    IMPROBABLE = 100
    """It is not expected to work."""
    UNKNOWN = 200
    """Too little is known to say, or the phone is none of the plugin's."""
    PROBABLE = 300
    """It should work, but is untested or too little is known."""
    INCOMPLETE = 400
    """It works in part."""
    COMPLETE = 500
    """It works, with another firmware version than the plugin is made for."""
    EXACT = 600
    """It works; this is the firmware version that the plugin is made for."""
