"""Offsets and daylight saving rules of time zones, for phones that want them spelled out.

The rule is the one that holds from now on: the POSIX TZ string at the end of the zone's file in the time zone
database (RFC 9636 section 3.3).
"""

from __future__ import annotations

import importlib.resources
import re
import zoneinfo
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from provd.errors import InvalidValueError

_HOUR = 3600
_DAY = 24 * _HOUR
_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_OFFSET = r"[+-]?\d{1,3}(?::\d{2}){0,2}"
_RULE = re.compile(rf"{_NAME}(?P<std>{_OFFSET})(?:{_NAME}(?P<dst>{_OFFSET})?,(?P<start>[^,]+),(?P<end>[^,]+))?")
_CHANGE = re.compile(rf"M(?P<month>\d+)\.(?P<week>\d)\.(?P<weekday>\d)(?:/(?P<time>{_OFFSET}))?")


@dataclass(frozen=True, slots=True)
class DstChange:
    """When a clock is changed, every year: a weekday of a month, at an hour and minute of local time.

    `month` is 1 to 12, `week` 1 to 5 with 5 for the last, `weekday` 0 for Sunday to 6 for Saturday.
    """

    month: int
    week: int
    weekday: int
    hour: int
    minute: int


@dataclass(frozen=True, slots=True)
class TimezoneRule:
    """A zone's standard offset, in seconds east of Greenwich, and its daylight saving time if it has one.

    `dst_save_s` is by how much the clock is put forward, 0 for a zone that does not.
    """

    utc_offset_s: int
    dst_save_s: int = 0
    dst_start: DstChange | None = None
    dst_end: DstChange | None = None


@lru_cache(maxsize=256)
def timezone_rule(name: str) -> TimezoneRule:
    """The rule of the zone `name`, such as `Europe/Paris`.

    Raises:
        InvalidValueError: there is no such zone.
    """
    return parse_posix_tz(_posix_tz(name))


def parse_posix_tz(text: str) -> TimezoneRule:
    """The rule that a POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3` states.

    A "daylight saving time" that puts clocks back, as Ireland's is recorded, is turned round.

    Raises:
        InvalidValueError: the text has another form.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidValueError("timezone", text, "a POSIX TZ string with rules of the form Mm.w.d")
    standard = -_seconds(match["std"])
    if match["start"] is None:
        return TimezoneRule(standard)
    daylight = -_seconds(match["dst"]) if match["dst"] else standard + _HOUR
    start, end = _change(match["start"]), _change(match["end"])
    if daylight < standard:
        standard, daylight, start, end = daylight, standard, end, start
    return TimezoneRule(standard, daylight - standard, start, end)


def _change(text: str) -> DstChange:
    match = _CHANGE.fullmatch(text)
    if match is None:
        raise InvalidValueError("timezone", text, "a rule of the form Mm.w.d")
    days, time_s = _within_a_day(_seconds(match["time"] or "2"))
    return DstChange(
        month=int(match["month"]),
        week=int(match["week"]),
        weekday=(int(match["weekday"]) + days) % 7,
        hour=time_s // _HOUR,
        minute=time_s % _HOUR // 60,
    )


def _within_a_day(time_s: int) -> tuple[int, int]:
    """Split a rule's time, which may lie on another day, into whole days and a time of 0:00 to 23:59.

    Phones know no such times. Less than an hour outside the day is put to its border, so that the day stays right
    (Greenland's 23:00 of the evening before, Egypt's 24:00). More than that moves the weekday but not the week, so
    that "the day after the fourth Thursday" is a week early in years in which that is the fifth Friday.
    """
    if -_HOUR <= time_s < 0:
        return 0, 0
    if time_s == _DAY:
        return 0, _DAY - 60
    days, rest = divmod(time_s, _DAY)
    return days, rest


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (_HOUR, 60, 1), strict=False))


def _posix_tz(name: str) -> str:
    """The last line of the zone's file: version 2 and later of the format keep the rule there."""
    try:
        zoneinfo.ZoneInfo(name)  # refuses names that are paths
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        allowed = "a name of the time zone database, such as Europe/Paris"
        raise InvalidValueError("timezone", name, allowed) from None
    for folder in zoneinfo.TZPATH:
        path = Path(folder, name)
        if path.is_file():
            return _last_line(path.read_bytes())
    return _last_line(importlib.resources.files("tzdata").joinpath("zoneinfo", name).read_bytes())


def _last_line(content: bytes) -> str:
    return content.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")
