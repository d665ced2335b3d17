"""Reading one settings file: every mistake in it, in words that say how to mend it."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provd.errors import InvalidValueError
from provd.option_types import Option, without_credentials

Tables = Mapping[str, Mapping[str, Option]]
"""The options by key, by table."""

_PLACE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)$")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]")
_MAX_SHOWN = 100
"""Characters of a line, which may be anything: a wrong file may have been named."""
_UNQUOTED = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=\s*([^\s\"'\[{#][^#]*?)\s*(?:#.*)?")
"""A key, and a value that begins neither a text nor a list nor a table."""


def read_settings_file(file: Path, tables: Tables) -> tuple[dict[str, Any], list[str]]:
    """The values of the file by option name, and a sentence for each mistake in it."""
    try:
        text = file.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        return {}, [f"{file}: {error.strerror}"]
    except tomllib.TOMLDecodeError as error:
        return {}, [f"{file}: {_explained(text, str(error), tables)}"]
    except (UnicodeDecodeError, RecursionError) as error:
        return {}, [f"{file}: {error}"]
    values: dict[str, Any] = {}
    mistakes = []
    for name, entry in data.items():
        if name not in tables or not isinstance(entry, dict):
            mistakes.append(_misplaced(name, entry, tables))
            continue
        for key, value in entry.items():
            try:
                option = tables[name][key]
                values[option.name] = option.check(option.name, value)
            except KeyError:
                mistakes.append(_unknown_option(name, key, tables))
            except InvalidValueError as error:
                mistakes.append(str(error))
    return values, [f"{file}: {mistake}" for mistake in mistakes]


# --- what stands where it must not


def _misplaced(name: str, entry: Any, tables: Tables) -> str:
    """What is wrong with a thing outside of all the tables that there are."""
    allowed = ", ".join(f"[{table}]" for table in tables)
    if name in tables:
        return f"{name}: a value is not allowed here; allowed: the table [{name}]"
    if isinstance(entry, dict) or (isinstance(entry, list) and any(isinstance(each, dict) for each in entry)):
        return f"{_shown(name)}: there is no such table; allowed: {allowed}{_did_you_mean(name, tables)}"
    home = _home_of(name, tables) or f"; every option stands in one of {allowed}"
    return f"{_shown(name)}: stands before any [table]{home}"


def _unknown_option(table: str, key: str, tables: Tables) -> str:
    advice = _did_you_mean(key, tables[table]) or _home_of(key, tables)
    return f"{table}.{_shown(key)}: there is no such option; allowed: {', '.join(tables[table])}{advice}"


def _home_of(key: str, tables: Tables) -> str:
    homes = " or ".join(f"[{table}]" for table, options in tables.items() if key in options)
    return f"; {key} belongs into {homes}" if homes else ""


def _did_you_mean(name: str, names: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shown(name: str) -> str:
    """A name as it is, unless it would break the line."""
    return name if name.isprintable() else ascii(name)


# --- what is no TOML


def _explained(text: str, error: str, tables: Tables) -> str:
    """The parser's message with the line that it means, and the advice that fits the line."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    place = _PLACE.search(error)
    number = int(place[1]) if place else len(lines)
    if not 1 <= number <= len(lines):
        return error
    above, line = lines[: number - 1], lines[number - 1]
    advice = ""
    if error.startswith(("Invalid value", "Expected newline")):
        advice = _advice_on_value(above, line, tables)
    elif error.startswith("Cannot overwrite"):
        advice = _advice_on_double(above, line)
    return f"{error}: {without_credentials(line.strip())[:_MAX_SHOWN]!r}{advice}"


def _advice_on_value(above: Sequence[str], line: str, tables: Tables) -> str:
    match = _UNQUOTED.fullmatch(line)
    if match is None:
        return ""
    key, value = match.groups()
    option = tables.get(_table_of(above), {}).get(key)
    if option is not None and option.check.parse is not None:
        return f"; allowed: {option.check.allowed}"
    return f"; a text needs quotes: {key} = {json.dumps(without_credentials(value)[:_MAX_SHOWN], ensure_ascii=False)}"


def _advice_on_double(above: Sequence[str], line: str) -> str:
    match = _KEY.match(line)
    for number in range(len(above), 0, -1):
        earlier = _KEY.match(above[number - 1])
        if match and earlier and earlier[1] == match[1]:
            return f"; {match[1]} is there already, in line {number}"
        if _TABLE.match(above[number - 1]):
            break
    return ""


def _table_of(above: Sequence[str]) -> str:
    """The table in which a line stands."""
    headers = (_TABLE.match(line) for line in reversed(above))
    return next((match[1] for match in headers if match), "")
