"""The lines of the security log. Filters match them, so their form is fixed, and it is written here only.

    [2026-11-22 20:15:03,123] Sensitive file requested from 192.0.2.7: "00085D2EECFB.cfg" owner=known device=<id>
    [2026-11-22 20:15:03,125] New device created automatically from 192.0.2.7: <id>
    [2026-11-22 20:15:03,127] New device refused from 192.0.2.7: address

`owner` says whether the file belongs to the device that is asking (`known`), to no device (`none`), or to another one
(`other`); `device` is the one that is asking, `-` if nobody knows. A refusal
names the limit that was reached: that of the `address`, of all addresses (`total`), or `full` if there are too many
devices that nobody has claimed. Only the first says something of who is at that address.
"""

from __future__ import annotations

import re
from enum import StrEnum

_UNSAFE = re.compile(r"[^ !#-9;-\[\]-~]")
_MAX_NAME_LENGTH = 128


class Owner(StrEnum):
    """Whose file was asked for, seen from the device that asks."""

    KNOWN = "known"
    NONE = "none"
    OTHER = "other"


def sensitive_file_requested(address: str, path: str, owner: Owner, device_id: str | None) -> str:
    """The line for a request of a file that may hold secrets; only the last part of its path is shown."""
    name = quoted(path.rpartition("/")[2])
    return f"Sensitive file requested from {address}: {name} owner={owner.value} device={_plain(device_id or '-')}"


def new_device_created(address: str, device_id: str) -> str:
    """The line for a device that a request made."""
    return f"New device created automatically from {address}: {_plain(device_id)}"


def new_device_refused(address: str, limit: str) -> str:
    """The line for a phone that was not made a device because a limit was reached."""
    return f"New device refused from {address}: {limit}"


def quoted(text: str) -> str:
    r"""`text` in double quotes, on one line, in printable ASCII, and not longer than a file name needs to be.

    Backslash, double quote and everything that is not printable ASCII become `\xNN` of their UTF-8 bytes, so that
    nobody can write another line, or end the quotes, through a name.
    """
    shown = text if len(text) <= _MAX_NAME_LENGTH else text[:_MAX_NAME_LENGTH] + "…"
    return '"' + _UNSAFE.sub(_escaped, shown) + '"'


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _plain(device_id: str) -> str:
    """An id as one word: ids made by provd are hexadecimal, but administrators may give any."""
    return re.sub(r"[^!-~]", lambda match: _escaped(match).replace("\\x", "%"), device_id)
