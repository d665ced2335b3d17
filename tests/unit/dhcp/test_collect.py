"""Where tables come from: the newest of each family, and a note of each that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provd.dhcp.collect import TABLES_NAME, Collection, collect

PHONES = [{"name": "desk", "oui": ["02:00:01"]}]
OTHER_PHONES = [{"name": "new", "oui": ["02:00:02"]}]


def repository(folder: Path, content: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / TABLES_NAME).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


def installed(folder: Path, plugin_id: str, version: str, dhcp: Any) -> Path:
    """The folder of installed plugins, with one more."""
    plugins = folder / "plugins"
    (plugins / plugin_id).mkdir(parents=True)
    info = {"version": version, "description": "x", "capabilities": {}, "dhcp": dhcp}
    (plugins / plugin_id / "plugin-info").write_text(json.dumps(info))
    return plugins


def names(collection: Collection) -> dict[str, list[str]]:
    return {family: [each.name for each in table.phones] for family, table in collection.tables.items()}


@pytest.mark.parametrize(
    ("in_repository", "of_plugin", "expected"),
    [
        ("1.9", "1.10", "new"),
        ("1.10", "1.9", "desk"),
        ("1.9", "1.9", "new"),
        (None, "0.1", "new"),
    ],
)
def test_the_newest_table_of_a_family_counts(
    tmp_path: Path, in_repository: str | None, of_plugin: str, expected: str
) -> None:
    table = {"family": "acme", "phones": PHONES, **({"version": in_repository} if in_repository else {})}
    server = repository(tmp_path / "repository", [table])
    plugins = installed(tmp_path, "xivo-acme-1", of_plugin, {"family": "acme", "phones": OTHER_PHONES})
    found = collect(server, plugins)
    assert (names(found), found.notes) == ({"acme": [expected]}, [])


def test_plugins_add_families(tmp_path: Path) -> None:
    server = repository(tmp_path / "repository", [{"family": "acme", "phones": PHONES}])
    plugins = installed(tmp_path, "example-1", "1.0", {"family": "example", "phones": OTHER_PHONES})
    assert names(collect(server, plugins)) == {"acme": ["desk"], "example": ["new"]}


def test_of_two_plugins_of_a_family_the_newer_counts(tmp_path: Path) -> None:
    installed(tmp_path, "xivo-acme-2", "1.2", {"family": "acme", "phones": OTHER_PHONES})
    plugins = installed(tmp_path, "xivo-acme-3", "1.1", {"family": "acme", "phones": PHONES})
    assert names(collect("http://192.0.2.1", plugins)) == {"acme": ["new"]}


@pytest.mark.parametrize(
    ("dhcp", "note"),
    [
        (None, "dhcp: None is not allowed; allowed: keys and values; left out"),
        ({"phones": PHONES}, "family: 'None' is not allowed; allowed: lower-case letters, digits and dashes; left out"),
        ({"family": "acme", "phones": [{}]}, "phones[1].name: missing"),
        ({"family": "acme", "phones": PHONES, "x": 1}, "dhcp: 'x' is not allowed; allowed: the keys phones"),
    ],
)
def test_a_plugins_table_that_is_wrong_costs_no_other(tmp_path: Path, dhcp: Any, note: str) -> None:
    server = repository(tmp_path / "repository", [{"family": "acme", "phones": PHONES}])
    plugins = installed(tmp_path, "xivo-acme-1", "9", dhcp)
    found = collect(server, plugins)
    assert names(found) == {"acme": ["desk"]}
    assert found.notes[0].startswith(f"{plugins}/xivo-acme-1/plugin-info: {note}")


def test_a_plugin_that_cannot_be_read_is_noted(tmp_path: Path) -> None:
    server = repository(tmp_path / "repository", [{"family": "acme", "phones": PHONES}])
    plugins = installed(tmp_path, "xivo-acme-1", "1", {})
    (plugins / "xivo-acme-1" / "plugin-info").write_text("[")
    (plugins / ".hidden").mkdir()
    (plugins / "file").touch()
    found = collect(server, plugins)
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"xivo-acme-1: {plugins}/xivo-acme-1/plugin-info: not JSON")


@pytest.mark.parametrize(
    ("content", "note"),
    [("[", "Expecting value"), ("{}", "a list is needed; left out"), ("[1]", "dhcp: 1 is not allowed")],
)
def test_a_repository_that_is_wrong_is_noted(tmp_path: Path, content: str, note: str) -> None:
    found = collect(repository(tmp_path / "repository", content), tmp_path)
    assert not found.tables
    assert found.notes[0].startswith(f"{tmp_path}/repository/dhcp.json: {note}")


def test_folders_that_are_not_there_are_noted(tmp_path: Path) -> None:
    assert collect(str(tmp_path), tmp_path / "plugins").notes == [
        f"{tmp_path}/dhcp.json: No such file or directory, so only installed plugins say something of phones",
        f"{tmp_path}/plugins: No such file or directory, so installed plugins are not looked at",
    ]
