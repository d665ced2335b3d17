"""Reading INI texts so that every mistake can be told with its file and line, and harms its own section only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from provd.errors import PackageError

_HEADER = re.compile(r"\[(?P<name>[^]]+)\]\s*")
_OPTION = re.compile(r"(?P<key>[^:=]*?)\s*[:=]\s*(?P<value>.*)")


@dataclass(slots=True)
class Entry:
    """An option's value, and the file and line it is in; lines that continue it are joined by line feeds."""

    value: str
    place: str


@dataclass(slots=True)
class Section:
    """A section's options by their lower-case names, and what is wrong with its text."""

    name: str
    place: str
    entries: dict[str, Entry] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """What follows the first underscore of the name."""
        return self.name.partition("_")[2]

    def value(self, key: str) -> str:
        """An option's value; "" if it is not there."""
        return self.entries[key].value if key in self.entries else ""

    def error(self, key: str, text: str) -> PackageError:
        """What is wrong with an option, and where."""
        place = self.entries[key].place if key in self.entries else self.place
        return PackageError(f"{place}: [{self.name}] {key}: {text}")


@dataclass(slots=True)
class IniText:
    """All sections by name, and the mistakes that belong to none."""

    sections: dict[str, Section] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_sections(files: Iterable[tuple[str, bytes]]) -> IniText:
    """Read files, given by name and content, as if they were one.

    `key: value` and `key = value` mean the same; an indented line continues the one before; `#` and `;` begin a
    comment, at the beginning of a line only. A section or key that is there twice is a fault of its section.
    """
    reader = _Reader()
    for name, content in files:
        for number, line in enumerate(content.split(b"\n"), 1):
            reader.read(f"{name}:{number}", line)
    return reader.text


class _Reader:
    """Takes line after line."""

    def __init__(self) -> None:
        self.text = IniText()
        self._section: Section | None = None
        self._entry: Entry | None = None

    def read(self, place: str, raw: bytes) -> None:
        try:
            line = raw.decode("utf-8").lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").rstrip()
        except UnicodeDecodeError:
            self._fault(place, "not UTF-8")
            return
        if not line or line.lstrip()[0] in "#;":
            return
        if line[0].isspace() and self._entry is not None:
            self._entry.value += "\n" + line.strip()
            return
        header, option = _HEADER.fullmatch(line.strip()), _OPTION.fullmatch(line.strip())
        if header:
            self._begin(place, header["name"])
        elif option and option["key"]:
            self._add(place, option["key"].lower(), option["value"])
        else:
            self._fault(place, f"{line.strip()[:80]!r} is neither [section] nor key: value")

    def _begin(self, place: str, name: str) -> None:
        self._entry = None
        self._section = self.text.sections.setdefault(name, Section(name, place))
        if self._section.place != place:
            self._fault(place, f"the section is there twice, here and in {self._section.place}")

    def _add(self, place: str, key: str, value: str) -> None:
        self._entry = Entry(value, place)
        if self._section is None:
            self._fault(place, f"{key}: stands before the first section")
        elif key in self._section.entries:
            self._fault(place, f"{key}: is there twice, here and in {self._section.entries[key].place}")
        else:
            self._section.entries[key] = self._entry

    def _fault(self, place: str, text: str) -> None:
        if self._section is None:
            self.text.faults.append(f"{place}: {text}")
        else:
            self._section.faults.append(f"{place}: [{self._section.name}] {text}")
