"""Settings that are read again: what is used at once, and what waits for a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provd.reload import compare
from provd.settings import OPTIONS, Settings


def settings(**changed: Any) -> Settings:
    values = {option.name: option.check(option.name, option.default) for option in OPTIONS}
    return Settings(values | {name.replace("__", "."): value for name, value in changed.items()})


def test_without_a_change_nothing_is_told() -> None:
    changes = compare(settings(), settings())
    assert changes.settings == settings()
    assert (changes.at_once, changes.after_restart) == ([], [])


def test_what_can_change_does_and_what_cannot_stays() -> None:
    changes = compare(settings(), settings(general__log_level="debug", tftp__max_transfers=7, tftp__port=6969))
    assert changes.settings == settings(general__log_level="debug", tftp__max_transfers=7)
    assert changes.at_once == ["general.log_level", "tftp.max_transfers"]
    assert changes.after_restart == ["tftp.port"]


def test_what_waits_for_a_restart_is_told_each_time() -> None:
    found = settings(general__bind="192.0.2.1")
    first = compare(settings(), found)
    assert compare(first.settings, found).after_restart == ["general.bind"]


def test_the_files_are_those_that_were_found() -> None:
    found = Settings(settings().values, (Path("/etc/new.toml"),))
    assert compare(settings(), found).settings.files == found.files


def test_where_the_doors_and_the_state_are_does_not_change_in_a_running_server() -> None:
    fixed = {option.name for option in OPTIONS if not option.reloadable}
    assert fixed >= {
        "general.state_dir", "general.bind", "general.external_ip", "tftp.port", "tftp.port_range", "tftp.single_port",
        "http.port", "admin.port", "admin.address", "security.log_file",
    }  # fmt: skip
