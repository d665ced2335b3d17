#!/usr/bin/env python3
"""Builds the manual pages xivo-provd(8) and provd.toml(5): the texts beside this file, and the table of options.

Called as `build.py FOLDER`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from provd import __version__  # noqa: E402
from provd.option_types import Option  # noqa: E402
from provd.settings import OPTIONS  # noqa: E402

PAGES = ("xivo-provd.8", "provd.toml.5")


def main() -> None:
    """Write both pages into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (folder / name).write_text(page(name), encoding="utf-8")


def page(name: str) -> str:
    """A page as mdoc(7): its text, with what comes from the table of options put into it."""
    text = (HERE / f"{name}.in").read_text(encoding="utf-8")
    made = {"VERSION": __version__, "FLAGS": "\n".join(_flags()), "OPTIONS": "\n".join(_options())}
    for key, value in made.items():
        text = text.replace(f"@{key}@", value)
    return text


def _flags() -> Iterator[str]:
    """The command line's flags that stand for options of the settings."""
    for option in OPTIONS:
        if option.flag:
            yield f".It Fl Fl {escaped(option.flag.removeprefix('--'))} Ar {escaped(str(option.metavar))}"
            yield escaped(option.doc)
            yield f"The setting is\n.Ic {option.name} ."


def _options() -> Iterator[str]:
    """Every option, by table."""
    for table in dict.fromkeys(option.table for option in OPTIONS):
        yield f".Ss Table {table}\n.Bl -tag -width Ds"
        for option in OPTIONS:
            if option.table == table:
                yield from _option(option)
        yield ".El"


def _option(option: Option) -> Iterator[str]:
    yield f".It Ic {option.key}"
    yield escaped(option.doc)
    yield escaped(f"Allowed: {option.check.allowed}.")
    default = option.as_toml().partition(" = ")[2]
    yield f"Default:\n.Li {quoted(default)} ."
    if option.reloadable:
        yield "A reload is enough."


def escaped(text: str) -> str:
    """Text as mdoc shows it: its backslashes, dashes and leading dots are none of mdoc's."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def quoted(text: str) -> str:
    """Text as one argument of a macro."""
    return '"' + escaped(text).replace('"', r"\(dq") + '"'


if __name__ == "__main__":
    main()
