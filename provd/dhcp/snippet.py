"""What the snippets for all servers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provd.dhcp.rules import Rule
from provd.dhcp.values import ServerPlace

HOOK = "/usr/libexec/xivo-provd/xivo-provd-dhcp-hook"
"""The program that tells provd of leases, where the package puts it."""

PREFIX = "xivo-provd"
"""What the names of options, classes and tags begin with, so that they are nobody else's."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """What a snippet is made of: rules, the place that they tell of, and the hook."""

    rules: Sequence[Rule]
    place: ServerPlace
    hook: str = HOOK

    def title(self, server: str) -> list[str]:
        """The first lines of the heading: what this is and what it was made for."""
        place = self.place
        return [
            f"Phones of provd, for {server}. Made by xivo-provd dhcp-config; make it anew rather than change it.",
            f"provd is at {place.address}: HTTP on port {place.http_port}, TFTP on port {place.tftp_port}.",
            "",
        ]


def commented(lines: Iterable[str], sign: str, indent: str = "") -> list[str]:
    """Lines as comments."""
    return [f"{indent}{sign} {line}".rstrip() for line in lines]
