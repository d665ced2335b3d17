"""Time zone rules, compared with what the time zone database says will happen."""

from __future__ import annotations

import calendar
import datetime as dt
import zoneinfo
from collections.abc import Iterator

import pytest

from provd.errors import InvalidValueError
from provd.plugins.timezones import DstChange, TimezoneRule, parse_posix_tz, timezone_rule

HOUR = 3600
THIS_YEAR = dt.datetime.now(dt.UTC).year
FAR_AWAY = 2090
"""A year for which the database states no single changes any more, only the rules that hold from now on."""

ZONES = [
    "Europe/Paris", "Europe/London", "Europe/Dublin", "Europe/Athens", "America/New_York", "America/Chicago",
    "America/Toronto", "America/St_Johns", "Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe",
    "Pacific/Auckland", "Pacific/Chatham",
]  # fmt: skip
FIXED = ["UTC", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "America/Phoenix", "Africa/Lagos", "Pacific/Apia"]


def changes_of(zone: zoneinfo.ZoneInfo, year: int) -> Iterator[tuple[dt.datetime, int, int]]:
    """When the zone's offset changes in a year, to the second, in UTC, with the offsets in seconds before and after."""

    def offset(moment: dt.datetime) -> int:
        found = moment.astimezone(zone).utcoffset()
        assert found is not None
        return int(found.total_seconds())

    moment = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    while moment.year == year:
        following = moment + dt.timedelta(days=1)
        if offset(moment) != offset(following):
            low, high = moment, following
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            yield high.replace(microsecond=0), offset(low), offset(high)
        moment = following


def moment_of(change: DstChange, year: int, offset_s: int) -> dt.datetime:
    """When a phone that follows the rule changes its clock, which shows `offset_s` until then."""
    days = [
        day
        for day in range(1, calendar.monthrange(year, change.month)[1] + 1)
        if (dt.date(year, change.month, day).weekday() + 1) % 7 == change.weekday
    ]
    day = days[-1] if change.week == 5 else days[change.week - 1]
    local = dt.datetime(year, change.month, day, change.hour, change.minute, tzinfo=dt.UTC)
    return local - dt.timedelta(seconds=offset_s)


def predicted(rule: TimezoneRule, year: int) -> list[tuple[dt.datetime, int, int]]:
    if rule.dst_start is None or rule.dst_end is None:
        return []
    standard, daylight = rule.utc_offset_s, rule.utc_offset_s + rule.dst_save_s
    start, end = moment_of(rule.dst_start, year, standard), moment_of(rule.dst_end, year, daylight)
    return sorted([(start, standard, daylight), (end, daylight, standard)])


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("year", [THIS_YEAR, THIS_YEAR + 1])
def test_clocks_change_when_the_database_says(name: str, year: int) -> None:
    real = list(changes_of(zoneinfo.ZoneInfo(name), year))
    assert len(real) == 2
    assert predicted(timezone_rule(name), year) == real


def is_right_within_an_hour(name: str) -> bool:
    real = list(changes_of(zoneinfo.ZoneInfo(name), FAR_AWAY))
    rule = predicted(timezone_rule(name), FAR_AWAY)
    return [change[1:] for change in rule] == [change[1:] for change in real] and all(
        abs((foretold - happens).total_seconds()) <= HOUR
        for (foretold, *_), (happens, *_) in zip(rule, real, strict=True)
    )


def test_the_rules_of_all_zones_are_right_within_an_hour() -> None:
    """Some zones' clocks change at a time of day that phones do not know, such as Greenland's and Egypt's."""
    names = sorted(zoneinfo.available_timezones())
    assert len(names) > 400
    assert [name for name in names if not is_right_within_an_hour(name)] == []


@pytest.mark.parametrize("name", FIXED)
def test_zones_without_daylight_saving_have_an_offset_alone(name: str) -> None:
    offset = dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo(name)).utcoffset()
    assert offset is not None
    assert timezone_rule(name) == TimezoneRule(int(offset.total_seconds()))


def is_sound(rule: TimezoneRule) -> bool:
    changes = [change for change in (rule.dst_start, rule.dst_end) if change is not None]
    return (
        abs(rule.utc_offset_s) <= 15 * HOUR
        and len(changes) == (2 if rule.dst_save_s else 0)
        and all(1 <= change.month <= 12 and 1 <= change.week <= 5 for change in changes)
        and all(0 <= change.weekday <= 6 and 0 <= change.hour <= 23 and 0 <= change.minute <= 59 for change in changes)
    )


def test_every_zone_of_the_database_has_a_sound_rule() -> None:
    assert [name for name in zoneinfo.available_timezones() if not is_sound(timezone_rule(name))] == []


def test_irelands_winter_time_is_turned_round() -> None:
    dublin = timezone_rule("Europe/Dublin")
    assert dublin == timezone_rule("Europe/London")
    assert (dublin.utc_offset_s, dublin.dst_save_s) == (0, HOUR)
    assert dublin.dst_start == DstChange(month=3, week=5, weekday=0, hour=1, minute=0)


def test_half_an_hour_of_daylight_saving_is_possible() -> None:
    assert timezone_rule("Australia/Lord_Howe").dst_save_s == HOUR // 2


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("UTC0", TimezoneRule(0)),
        ("<+0545>-5:45", TimezoneRule(20_700)),
        ("<-0330>3:30", TimezoneRule(-12_600)),
        ("X-1Y,M3.5.0,M10.5.0/3", TimezoneRule(HOUR, HOUR, DstChange(3, 5, 0, 2, 0), DstChange(10, 5, 0, 3, 0))),
        ("X-1Y-3,M3.5.0,M10.5.0", TimezoneRule(HOUR, 2 * HOUR, DstChange(3, 5, 0, 2, 0), DstChange(10, 5, 0, 2, 0))),
        ("X0Y,M1.1.0/26,M2.1.6/26", TimezoneRule(0, HOUR, DstChange(1, 1, 1, 2, 0), DstChange(2, 1, 0, 2, 0))),
        ("X0Y,M1.1.0/24,M2.1.0/-0:30", TimezoneRule(0, HOUR, DstChange(1, 1, 0, 23, 59), DstChange(2, 1, 0, 0, 0))),
    ],
)
def test_posix_texts(text: str, rule: TimezoneRule) -> None:
    assert parse_posix_tz(text) == rule


@pytest.mark.parametrize("text", ["", "UTC", "X-1Y", "X-1Y,J60,J300", "X-1Y,60,300", "X-1Y,M3.5.0", "M3.5.0,M4.5.0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="timezone"):
        parse_posix_tz(text)


@pytest.mark.parametrize(
    "name", ["", "Mars/Phobos", "../etc/passwd", "/etc/localtime", "Europe", "europe/paris ", "a\0b"]
)
def test_names_that_are_no_zones_are_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="such as Europe/Paris"):
        timezone_rule(name)


def test_the_day_after_the_fourth_thursday_is_right_or_a_week_early() -> None:
    """Phones cannot be told "the day after": where that is the fifth Friday, they change on the fourth."""
    zone, week_s = zoneinfo.ZoneInfo("Asia/Jerusalem"), 7 * 24 * HOUR
    errors = set()
    for year in range(2024, 2032):
        (start, end), (real_start, real_end) = predicted(timezone_rule("Asia/Jerusalem"), year), changes_of(zone, year)
        errors.add((real_start[0] - start[0]).total_seconds())
        assert end == real_end
    assert errors == {0, week_s}
