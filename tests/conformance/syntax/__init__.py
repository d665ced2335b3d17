"""What the kit must know of each family: how its files are written, and what it claims to support.

The module for the family in `plugins/cisco-spa` is `cisco_spa.py` here; `Family` says what it must define.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.models import Model
from provd.plugins.rendering import RenderedFile

Request = DhcpLease | HttpRequest | TftpRequest


class NotWellFormedError(Exception):
    """A phone would not read the file as it is meant; the message names the line and what is wrong with it."""


class Family(Protocol):
    """What a family's module defines."""

    PUBLIC_FILES: Sequence[str]
    """Paths of files that hold no secret, whatever the phone: common files, firmware, languages."""

    SHOWN_GLOBALS: Sequence[str]
    """Raw config keys whose value the phone must be told if no line says otherwise."""

    SHOWN_OF_LINE: Sequence[str]
    """Keys of a SIP line whose value the phone must be told."""

    SHOWN_OF_KEY: Sequence[str]
    """Keys of a function key whose value the phone must be told."""

    def read(self, file: RenderedFile, model: Model) -> dict[str, str]:
        """What the phone reads in a file: the value of each parameter by its full name, unquoted and unescaped.

        Raises:
            NotWellFormedError: the syntax is wrong, a parameter is unknown, given twice or impossible on this model.
        """

    def introductions(self, name: str) -> Sequence[Request]:
        """The requests by which a phone that calls itself `name` tells its model."""


def module_name(family: str) -> str:
    """The name of the family's module."""
    return family.replace("-", "_")


def find_family(family: str) -> Family | None:
    """The family's module, or None if nobody wrote it yet."""
    name = f"{__name__}.{module_name(family)}"
    if importlib.util.find_spec(name) is None:
        return None
    return cast(Family, importlib.import_module(name))
