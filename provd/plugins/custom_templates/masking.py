"""Showing files without the passwords in them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from provd.errors import names_a_secret

MASK = "********"

_LEAST_FOUND_ANYWHERE = 4
"""Shorter secrets are masked only where the template puts them: elsewhere they may be something else."""

_TELLING = re.compile(r"pass|pwd|secret|private.?key", re.IGNORECASE)
_SEPARATOR = re.compile(r"[:=>]\s*[\"']?")
_KEY_MATERIAL = re.compile(r"\s*[A-Za-z0-9+/]{24,}={0,2}\s*")


def masked_raw_config(raw_config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which each secret is replaced; one of several lines keeps its number of lines."""
    masked: dict[str, Any] = _masked(copy.deepcopy(dict(raw_config)), is_secret=False)
    return masked


class Mask:
    """Masks the lines of a file, new or old.

    What the template makes of a masked raw config tells which lines hold secrets and where in the line they begin.
    Lines of an older file are compared with that, and with the secrets themselves; those that only look as if they
    held one are masked too. Without `masked`, because that could not be made, every line is cut.
    """

    def __init__(self, real: str, masked: str | None, raw_config: Mapping[str, Any]) -> None:
        pairs = list(zip(real.split("\n"), (masked or "").split("\n"), strict=False))
        self._is_blunt = masked is None or real.count("\n") != masked.count("\n")
        self._known = dict(pairs)
        self._beginnings = tuple({_common_beginning(*pair) for pair in pairs if pair[0] != pair[1]} - {""})
        self._secrets = sorted(set(_secrets(raw_config)), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without its secrets."""
        return "\n".join(self.line(line) for line in text.split("\n"))

    def diff(self, diff: str) -> str:
        """A unified diff of such texts without their secrets."""
        names, lines = diff.split("\n")[:2], diff.split("\n")[2:]
        shown = (line[:1] + self.line(line[1:]) if line[:1] in ("+", "-", " ") else line for line in lines)
        return "\n".join([*names, *shown])

    def line(self, line: str) -> str:
        """One line without its secrets."""
        if not self._is_blunt and line in self._known:
            return self._known[line]
        for beginning in self._beginnings:
            if line.startswith(beginning):
                return beginning + MASK
        if self._is_blunt or _TELLING.search(line):
            separator = _SEPARATOR.search(line)
            return line[: separator.end()] + MASK if separator else MASK if line.strip() else line
        return MASK if _KEY_MATERIAL.fullmatch(line) else self.message(line)

    def message(self, text: str) -> str:
        """A message, without the secrets that are known."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _masked(value: Any, *, is_secret: bool) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item, is_secret=is_secret or names_a_secret(str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, is_secret=is_secret) for item in value]
    if not is_secret or value in ("", None) or isinstance(value, bool):
        return value
    return "\n".join(line if line.startswith("-----") else line and MASK for line in str(value).split("\n"))


def _secrets(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    """The lines of all secrets that are long enough to be looked for."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, is_secret=is_secret or names_a_secret(str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, is_secret=is_secret)
    elif is_secret and not isinstance(value, bool):
        for line in str(value).split("\n"):
            if len(line) >= _LEAST_FOUND_ANYWHERE and not line.startswith("-----"):
                yield line


def _common_beginning(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]
