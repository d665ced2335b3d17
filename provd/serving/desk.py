"""What a door needs of the server behind it."""

from __future__ import annotations

from typing import Protocol

from provd.model.request import PhoneRequest
from provd.plugins.files import OpenFile, Problem

Reply = OpenFile | Problem
"""The file that a phone gets, which the door closes, or why it gets none."""


class Desk(Protocol):
    """Answers phones' requests."""

    def knows(self, address: str) -> bool:
        """Tell whether a known phone has an address, in stored form: whoever is there is served first."""

    def turned_away(self, request: PhoneRequest, reason: str) -> None:
        """The door itself refuses a request: note that, and why."""

    def quick(self, request: PhoneRequest) -> Reply | None:
        """The answer for a known phone of which nothing changed; None if `handle` is needed. Never waits."""

    def handle(self, request: PhoneRequest) -> Reply:
        """The answer for any phone; may wait for the store."""
