"""`xivo-provd --check`: each kind of damage is named, and nothing is changed or disturbed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provd.check import check
from provd.errors import SettingsError
from provd.settings import Settings, load_settings
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, RENDERINGS, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

from .plugins.sample import PLUGIN_ID, write, write_plugin

RECORD = {"files": [{"plugin": PLUGIN_ID, "path": "a.cfg", "sensitive": True, "proves_sync": True}]}
CONFIG = {"id": "c", "parent_ids": [], "raw_config": {}}

Row = tuple[str, str, str | bytes]
WriteRow = Callable[[str, str, str | bytes], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = write(tmp_path / "provd.toml", f'[general]\nstate_dir = "{tmp_path}"\nexternal_ip = "192.0.2.10"\n')
    return load_settings(file, {})


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    """A good store with a device, its config and the record of its files."""
    path = tmp_path / "provd.db"
    store = Store(SqliteBackend(path), SCHEMA)
    good = Transaction().put(DEVICES, "d", {"id": "d", "mac": "00:08:5d:00:00:01", "configured": True, "config": "c"})
    store.commit(good.put(CONFIGS, "c", CONFIG).put(RENDERINGS, "d", RECORD).put(PARAMETERS, "p", {"value": 1}))
    store.close()
    return path


@pytest.fixture
def write_row(store_file: Path) -> WriteRow:
    """Writes a row behind the store's back."""

    def write_it(collection: str, document_id: str, document: str | bytes) -> None:
        connection = sqlite3.connect(store_file)
        values = (collection, document_id, document)
        connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, 1, ?)", values)
        connection.commit()
        connection.close()

    return write_it


def test_a_good_store_says_nothing(settings: Settings, store_file: Path) -> None:
    write_plugin(store_file.parent / "plugins")
    assert check(settings) == []


def test_a_system_that_was_never_started_says_nothing(settings: Settings, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert check(settings) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_changed(settings: Settings, store_file: Path) -> None:
    before = store_file.read_bytes()
    check(settings)
    assert store_file.read_bytes() == before
    backend = SqliteBackend(store_file)
    assert backend.was_clean
    backend.close()


def test_a_running_server_is_not_disturbed(settings: Settings, store_file: Path) -> None:
    store = Store(SqliteBackend(store_file), SCHEMA)
    store.commit(Transaction().put(DEVICES, "e", {"id": "e"}))
    assert check(settings) == []
    store.commit(Transaction().put(DEVICES, "f", {"id": "f"}))
    assert check(settings) == []
    store.close()
    backend = SqliteBackend(store_file)
    assert backend.was_clean
    backend.close()


def test_a_store_that_was_killed_is_read_with_its_last_writes(settings: Settings, store_file: Path) -> None:
    store = Store(SqliteBackend(store_file), SCHEMA)
    store.commit(Transaction().put(DEVICES, "e", {"id": "another"}))
    files = [store_file, store_file.with_name("provd.db-wal")]
    contents = [file.read_bytes() for file in files]
    store.close()
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    assert check(settings) == ["devices 'e': the document says that its id is 'another'"]


@pytest.mark.parametrize(
    ("collection", "document", "sentence"),
    [
        (DEVICES, '{"id":"x"', "devices 'x': Expecting"),
        (DEVICES, "", "devices 'x': Expecting value"),
        (DEVICES, "[]", "devices 'x': not a JSON object"),
        (DEVICES, '{"id":"y"}', "devices 'x': the document says that its id is 'y'"),
        (DEVICES, "{}", "devices 'x': the document says that its id is None"),
        (DEVICES, '{"id":"x","mac":"00:08"}', "devices 'x': mac: '00:08' is not allowed"),
        (DEVICES, '{"id":"x","ip":7}', "devices 'x': ip: 7 is not allowed"),
        (DEVICES, '{"id":"x","weight":NaN}', "devices 'x': device.weight: nan is not allowed"),
        (CONFIGS, '{"id":"x","raw_config":{}}', "configs 'x': parent_ids: None is not allowed"),
        (CONFIGS, '{"id":"x","parent_ids":[]}', "configs 'x': raw_config: None is not allowed"),
        (CONFIGS, '{"id":"x","parent_ids":[],"raw_config":{"http_port":70000}}', "configs 'x': http_port: 70000"),
        (RENDERINGS, "[", "renderings 'x': Expecting value"),
        (RENDERINGS, json.dumps(RECORD), "renderings 'x': there is no such device"),
        ("gadgets", "{}", "gadgets 'x': unknown collection"),
    ],
)
def test_a_damaged_document_is_named(
    settings: Settings, write_row: WriteRow, collection: str, document: str, sentence: str
) -> None:
    write_row(collection, "x", document)
    problems = check(settings)
    assert any(problem.startswith(sentence) for problem in problems), problems


def test_a_secret_is_not_shown(settings: Settings, write_row: WriteRow) -> None:
    raw = {"sip_lines": {"1": {"password": "s3cr3t\n"}}, "admin_password": ["s3cr3t"], "sip_local_key": "s3cr3t"}
    write_row(CONFIGS, "x", json.dumps({"id": "x", "parent_ids": [], "raw_config": raw}))
    (problem,) = check(settings)
    assert "s3cr3t" not in problem


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        pytest.param(RENDERINGS, '{"plugin":"p"}', id="a record without files"),
        pytest.param(RENDERINGS, '{"plugin":"p","files":[{}]}', id="a record of a file without path"),
        pytest.param(DEVICES, "[" * 100_000, id="nested too deep"),
    ],
)
def test_what_keeps_the_server_from_starting_is_named(
    settings: Settings, write_row: WriteRow, collection: str, document: str | bytes
) -> None:
    write_row(collection, "d", document)
    assert check(settings)


def test_a_text_that_is_not_utf8_is_named_without_its_content(settings: Settings, store_file: Path) -> None:
    connection = sqlite3.connect(store_file)
    broken = b'{"id":"x","password":"s3cr3t\xff"}'
    connection.execute("INSERT INTO documents VALUES ('configs', 'x', 1, CAST(? AS TEXT))", (broken,))
    connection.commit()
    connection.close()
    (problem,) = check(settings)
    assert "s3cr3t" not in problem


def test_damaged_pages_are_named(settings: Settings, store_file: Path) -> None:
    content = bytearray(store_file.read_bytes())
    content[-4096:-3696] = b"\xff" * 400
    store_file.write_bytes(content)
    problems = check(settings)
    assert problems
    assert all(problem.startswith(f"{store_file}: ") for problem in problems)


def test_damage_that_reading_does_not_meet_is_named(settings: Settings, store_file: Path) -> None:
    content = bytearray(store_file.read_bytes())
    content[36:40] = (7).to_bytes(4, "big")  # the number of free pages (SQLite's file format, section 1.3)
    store_file.write_bytes(content)
    (problem,) = check(settings)
    assert problem.startswith(f"{store_file}: ")
    assert "reelist" in problem


@pytest.mark.parametrize("content", [b"this is no database, but some text " * 10, bytes(5000)])
def test_a_file_that_is_no_database_is_named(settings: Settings, store_file: Path, content: bytes) -> None:
    store_file.write_bytes(content)
    (problem,) = check(settings)
    assert problem.startswith(f"{store_file}: ")


def test_a_file_that_was_only_begun_is_a_new_store(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "provd.db").touch()
    assert check(settings) == []


def test_a_newer_store_is_named(settings: Settings, store_file: Path) -> None:
    connection = sqlite3.connect(store_file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (problem,) = check(settings)
    assert "written by a newer xivo-provd (schema 99" in problem


def test_plugins_that_cannot_be_loaded_are_named(settings: Settings, store_file: Path) -> None:
    folder = store_file.parent / "plugins"
    write_plugin(folder)
    write_plugin(folder, "xivo-bad-1.0", info="{")
    write_plugin(folder, ".provd-0123456789abcdef", info="{")
    write(folder / "plugins.db", "{}")
    (problem,) = check(settings)
    assert problem.startswith("plugin xivo-bad-1.0: ")
    assert "not JSON" in problem


def test_a_base_raw_config_that_is_wrong_is_a_settings_error(tmp_path: Path) -> None:
    base = write(tmp_path / "base.json", '{"http_port": "many"}')
    file = write(tmp_path / "provd.toml", f'[general]\nstate_dir = "{tmp_path}"\nbase_raw_config_file = "{base}"\n')
    with pytest.raises(SettingsError, match=r"base\.json: http_port: 'many' is not allowed"):
        check(load_settings(file, {}))


def test_somebody_who_may_not_look_is_told_so(store_file: Path) -> None:
    """As `nobody`, in a child process, if this one is root's; to others the folder is closed all the same."""
    source = (
        "import os, sys; from pathlib import Path; from provd.check import check\n"
        "from provd.settings import Settings\n"
        "values = {'general.base_raw_config_file': None, 'general.external_ip': '192.0.2.10', 'general.bind': '',\n"
        "          'http.port': 1, 'tftp.port': 1, 'general.state_dir': sys.argv[1]}\n"
        "os.chmod(sys.argv[1], 0)\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "print(check(Settings(values)))\n"
    )
    folder = store_file.parent
    try:
        ended = subprocess.run([sys.executable, "-c", source, folder], capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o700)
    assert ended.returncode == 0, ended.stderr
    assert "Permission denied" in ended.stdout
