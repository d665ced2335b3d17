"""`xivo-provd --check`: each kind of damage is named, and nothing is changed or disturbed."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from provd import check as check_module
from provd import settings as settings_module
from provd.check import check
from provd.model.device import Device
from provd.settings import Settings, load_settings
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, RENDERINGS, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

from .plugins.sample import PLUGIN_ID, write, write_plugin

RECORD = {"files": [{"plugin": PLUGIN_ID, "path": "a.cfg", "sensitive": True, "proves_sync": True}]}
CONFIG = {"id": "c", "parent_ids": [], "raw_config": {}}

Row = tuple[str, str, str | bytes]
WriteRow = Callable[[str, str, str | bytes], None]


def load(folder: Path, **general: str) -> Settings:
    """The settings of a server whose state and security log are in `folder`."""
    options = {"state_dir": str(folder), "external_ip": "192.0.2.10", **general}
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    text = "[general]\n" + "\n".join(lines) + f'\n[security]\nlog_file = "{folder}/security.log"\n'
    return load_settings(write(folder / "provd.toml", text), {})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path)


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    return make_store(tmp_path / "provd.db")


def make_store(path: Path) -> Path:
    """A good store with a device, its config and the record of its files."""
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


def damage(settings: Settings) -> list[str]:
    """What is wrong with the store and the plugins, when the settings are right."""
    findings = check(settings)
    assert findings.mistakes == []
    assert findings.exit_code == (1 if findings.damage else 0)
    return list(findings.damage)


def warnings(settings: Settings) -> list[str]:
    """What is not as it should be, when nothing is wrong."""
    assert damage(settings) == []
    return list(check(settings).warnings)


def state_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Everything below a folder, with the time of its last change, and the content of files."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def test_nothing_wrong_says_nothing(settings: Settings, store_file: Path) -> None:
    write_plugin(store_file.parent / "plugins")
    findings = check(settings)
    assert (findings.mistakes, findings.damage, findings.warnings, findings.exit_code) == ([], [], [], 0)


def test_a_system_that_was_never_started_only_has_no_plugin(settings: Settings, tmp_path: Path) -> None:
    before = state_of(tmp_path)
    assert warnings(settings) == ["no plugin is installed, so no phone gets files; see --install-plugin"]
    assert state_of(tmp_path) == before


def test_what_was_looked_at_is_told(settings: Settings, store_file: Path) -> None:
    for plugin_id in ("xivo-b-1.0", "xivo-a-1.0"):
        write_plugin(store_file.parent / "plugins", plugin_id)
    assert check(settings).looked_at == [
        f"user: {pwd.getpwuid(os.geteuid()).pw_name}",
        f"settings: {store_file.parent}/provd.toml",
        f"store: {store_file}: 1 device, 1 config",
        "plugins: xivo-a-1.0, xivo-b-1.0",
    ]


def test_that_there_was_nothing_to_look_at_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "provd.toml"
    monkeypatch.setattr(settings_module, "DEFAULT_FILE", nowhere)
    monkeypatch.setattr(check_module, "DEFAULT_FILE", nowhere)
    settings = load_settings(None, {"general.state_dir": str(tmp_path / "state")})
    assert check(settings).looked_at[1:] == [
        f"settings: the defaults, because there is no {nowhere}",
        f"store: {tmp_path}/state/provd.db: none yet",
        "plugins: none",
    ]


# --- the store


def test_nothing_is_changed(settings: Settings, store_file: Path) -> None:
    plugins = store_file.parent / "plugins"
    write_plugin(plugins)
    before = state_of(plugins), store_file.read_bytes()
    assert damage(settings) == []
    assert (state_of(plugins), store_file.read_bytes()) == before
    backend = SqliteBackend(store_file)
    assert backend.was_clean
    backend.close()


def test_a_running_server_is_not_disturbed(settings: Settings, store_file: Path) -> None:
    store = Store(SqliteBackend(store_file), SCHEMA)
    store.commit(Transaction().put(DEVICES, "e", {"id": "e"}))
    assert damage(settings) == []
    store.commit(Transaction().put(DEVICES, "f", {"id": "f"}))
    assert damage(settings) == []
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
    assert damage(settings) == ["devices 'e': the document says that its id is 'another'"]


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
    problems = damage(settings)
    assert any(problem.startswith(sentence) for problem in problems), problems


def test_a_secret_is_not_shown(settings: Settings, write_row: WriteRow) -> None:
    raw = {"sip_lines": {"1": {"password": "s3cr3t\n"}}, "admin_password": ["s3cr3t"], "sip_local_key": "s3cr3t"}
    write_row(CONFIGS, "x", json.dumps({"id": "x", "parent_ids": [], "raw_config": raw}))
    (problem,) = damage(settings)
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
    assert damage(settings)


def test_a_text_that_is_not_utf8_is_named_without_its_content(settings: Settings, store_file: Path) -> None:
    connection = sqlite3.connect(store_file)
    broken = b'{"id":"x","password":"s3cr3t\xff"}'
    connection.execute("INSERT INTO documents VALUES ('configs', 'x', 1, CAST(? AS TEXT))", (broken,))
    connection.commit()
    connection.close()
    (problem,) = damage(settings)
    assert "s3cr3t" not in problem


def test_damaged_pages_are_named(settings: Settings, store_file: Path) -> None:
    content = bytearray(store_file.read_bytes())
    content[-4096:-3696] = b"\xff" * 400
    store_file.write_bytes(content)
    problems = damage(settings)
    assert problems
    assert all(problem.startswith(f"{store_file}: ") for problem in problems)


def test_damage_that_reading_does_not_meet_is_named(settings: Settings, store_file: Path) -> None:
    content = bytearray(store_file.read_bytes())
    content[36:40] = (7).to_bytes(4, "big")  # the number of free pages (SQLite's file format, section 1.3)
    store_file.write_bytes(content)
    (problem,) = damage(settings)
    assert problem.startswith(f"{store_file}: ")
    assert "reelist" in problem


@pytest.mark.parametrize("content", [b"this is no database, but some text " * 10, bytes(5000)])
def test_a_file_that_is_no_database_is_named(settings: Settings, store_file: Path, content: bytes) -> None:
    store_file.write_bytes(content)
    (problem,) = damage(settings)
    assert problem.startswith(f"{store_file}: ")


def test_a_file_that_was_only_begun_is_a_new_store(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "provd.db").touch()
    assert damage(settings) == []


def test_a_newer_store_is_named(settings: Settings, store_file: Path) -> None:
    connection = sqlite3.connect(store_file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (problem,) = damage(settings)
    assert "written by a newer xivo-provd (schema 99" in problem


# --- plugins and devices


def test_plugins_that_cannot_be_loaded_are_named(settings: Settings, store_file: Path) -> None:
    folder = store_file.parent / "plugins"
    write_plugin(folder)
    write_plugin(folder, "xivo-bad-1.0", info="{")
    write_plugin(folder, "xivo-odd-1.0", entry="import nothing_of_this_name")
    write_plugin(folder, "xivo-syntax-1.0", entry="def (:")
    write_plugin(folder, ".provd-0123456789abcdef", info="{")
    write(folder / "plugins.db", "{}")
    bad, odd, syntax = damage(settings)
    assert bad.startswith("plugin xivo-bad-1.0: ")
    assert "not JSON" in bad
    assert odd == "plugin xivo-odd-1.0: entry.py: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert syntax.startswith("plugin xivo-syntax-1.0: entry.py: SyntaxError: ")


def test_a_plugin_whose_files_cannot_be_made_is_named(settings: Settings, store_file: Path) -> None:
    plugin = write_plugin(store_file.parent / "plugins")
    write(plugin / "var" / "tftpboot", "a file where a folder should be")
    assert damage(settings) == [f"plugin {PLUGIN_ID}: {plugin}/var/tftpboot: Not a directory"]


def devices(store_file: Path, *documents: Device) -> None:
    store = Store(SqliteBackend(store_file), SCHEMA)
    transaction = Transaction()
    for document in documents:
        transaction.put(DEVICES, document["id"], document)
    store.commit(transaction)
    store.close()


def test_devices_whose_plugin_is_not_installed_are_counted(settings: Settings, store_file: Path) -> None:
    write_plugin(store_file.parent / "plugins")
    there = {"plugin": PLUGIN_ID, "config": "c", "configured": True}
    absent = {**there, "plugin": "xivo-gone-1.0", "configured": False}
    devices(store_file, {"id": "a", **there}, {"id": "b", **absent}, {"id": "e", **absent})
    assert warnings(settings) == ["the plugin 'xivo-gone-1.0' of 2 devices is not installed"]


def test_devices_that_are_not_configured_are_named_with_the_reason(settings: Settings, store_file: Path) -> None:
    write_plugin(store_file.parent / "plugins")
    whole = {"plugin": PLUGIN_ID, "config": "c", "configured": False}
    devices(
        store_file,
        {**whole, "id": "a", "configure_error": "base.tpl line 1: a\nb"},
        {**whole, "id": "b"},
        {"id": "e", "plugin": PLUGIN_ID, "configured": False},
        {"id": "f", "config": "c", "configured": False},
    )
    assert warnings(settings) == [
        r"device 'a' is not configured: 'base.tpl line 1: a\nb'",
        "device 'b' is not configured: not done yet",
        "device 'e' is not configured: it has no config",
        "device 'f' is not configured: it has no plugin",
    ]


def test_of_many_devices_that_are_not_configured_only_some_are_named(settings: Settings, store_file: Path) -> None:
    write_plugin(store_file.parent / "plugins")
    devices(store_file, *({"id": f"x{number}", "configured": False} for number in range(100)))
    told = warnings(settings)
    assert len(told) == 11
    assert told[-1] == "90 more devices not configured"


# --- settings


def test_a_base_raw_config_that_is_wrong_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    base = write(tmp_path / "base.json", '{"http_port": "many"}')
    findings = check(load(tmp_path, base_raw_config_file=str(base)))
    (mistake,) = findings.mistakes
    assert mistake.startswith(f"general.base_raw_config_file: {base}: http_port: 'many' is not allowed")
    assert findings.exit_code == 2


def test_everything_that_is_wrong_is_told_at_once(store_file: Path) -> None:
    folder = store_file.parent
    write_plugin(folder / "plugins", info="{")
    (folder / "security.log").mkdir()
    devices(store_file, {"id": "e", "configured": False})
    findings = check(load(folder, base_raw_config_file="/nonexistent.json"))
    assert findings.mistakes == [
        f"security.log_file: {folder}/security.log: Is a directory",
        "general.base_raw_config_file: /nonexistent.json: No such file or directory",
    ]
    assert len(findings.damage) == 1
    assert len(findings.warnings) == 1
    assert findings.exit_code == 2


def as_nobody(source: str, folder: Path, mode: int) -> str:
    """What a child process prints that is not root and may do with the folder what `mode` says."""
    preparation = (
        "import os, sys; from pathlib import Path; from provd.check import become_owner, check\n"
        "from provd.settings import load_settings\n"
        "settings = load_settings(Path(sys.argv[1], 'provd.toml'), {})\n"
        f"os.chmod(sys.argv[1], {mode})\n"
    )
    try:
        command = [sys.executable, "-c", preparation + source, folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o700)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_somebody_who_may_not_look_is_told_so(settings: Settings, store_file: Path) -> None:
    """To others than root the folder is closed all the same."""
    told = as_nobody(
        "if os.getuid() == 0: os.setuid(65534)\n"
        "found = check(settings); print(found.exit_code, *found.mistakes, *found.damage, sep='\\n')\n",
        store_file.parent,
        0,
    ).splitlines()
    assert told[0] == "2"
    assert f"{store_file.parent}/provd.toml: Permission denied" in told
    assert f"general.state_dir: {store_file.parent}: Permission denied" in told
    assert f"security.log_file: {store_file.parent}/security.log: Permission denied" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_looks_as_the_user_to_whom_the_state_belongs() -> None:
    entry = 'import os\nraise OSError(f"{os.getresuid()} {os.getresgid()} {os.getgroups()}")'
    with tempfile.TemporaryDirectory() as name:  # one that other users can reach
        folder = Path(name)
        load(folder)
        store_file = make_store(folder / "provd.db")
        write_plugin(folder / "plugins", entry=entry)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 12345, 54321)
        os.chown(store_file, 0, 0)
        store_file.chmod(0o644)
        told = as_nobody(
            "become_owner(settings['general.state_dir'])\n"
            "found = check(settings); print(found.looked_at[0], *found.damage, sep='\\n')\n",
            folder,
            0o700,
        )
    ids = "(12345, 12345, 12345) (54321, 54321, 54321) []"
    assert told == f"user: 12345\n{store_file}: cannot be written\nplugin {PLUGIN_ID}: entry.py: OSError: {ids}\n"
