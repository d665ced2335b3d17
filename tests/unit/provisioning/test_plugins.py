"""The life of plugins while phones are served: installed, upgraded, reloaded, uninstalled; and their packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

from plugins.builder import pack
from provd.errors import AlreadyExistsError, ConflictError, NotFoundError, PluginError, PluginLoadError, RepositoryError
from provd.model.operation import Operation, OperationCancelledError
from provd.plugins.downloads import HttpDownloader, Source
from provd.plugins.files import Problem
from provd.plugins.repository import Repository
from provd.provisioning.plugins import PluginSource

from ..plugins.sample import BASE_TEMPLATE, ENTRY, INFO, PLUGIN_ID, write, write_plugin
from .house import House, phone, phone_number

OTHER = "xivo-other-1.0"


class Shelf:
    """A repository in a folder, to which plugins are added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._index: dict[str, Any] = {}

    def add(self, plugin_id: str, version: str, *, entry: str = ENTRY, files: Mapping[str, str] | None = None) -> None:
        """Put a version of a plugin there."""
        vendor = "Other" if plugin_id == OTHER else "Sample"
        info = {**INFO, "version": version, "vendor": vendor, "description_fr": "Téléphones"}
        contents = {"plugin-info": json.dumps(info), "entry.py": entry, "templates/base.tpl": BASE_TEMPLATE,
                    **(files or {})}  # fmt: skip
        archive = pack(plugin_id, {path: text.encode() for path, text in contents.items()})
        name = f"{plugin_id}-{version}.tar.bz2"
        (self.folder / name).write_bytes(archive)
        self._index[plugin_id] = {"filename": name, "version": version, "description": "Phones.", "capabilities": {},
                                  "description_fr": "Téléphones", "dsize": len(archive),
                                  "sha256sum": hashlib.sha256(archive).hexdigest()}  # fmt: skip
        (self.folder / "plugins.db").write_text(json.dumps(self._index))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def stocked(house: House, shelf: Shelf) -> House:
    """A house that has the Sample plugin, and installs others from the shelf."""
    shelf.add(OTHER, "1.0", entry=ENTRY.replace("Sample", "Other"))
    house.close()
    source = PluginSource(lambda: Repository(str(shelf.folder)), HttpDownloader, house.folder / "backups")
    house.open(plugin_source=source)
    return house


def done(house: House, verb: Any, *arguments: Any) -> Operation:
    """An operation that was run as the doors run it, when it has ended."""
    operation_id = house.app.operations.start(Operation("install"), partial(verb, *arguments))
    return house.app.operations.wait(operation_id, 10)


# --- looking


def test_what_can_be_installed_and_what_is_installed(stocked: House, shelf: Shelf) -> None:
    shelf.add(PLUGIN_ID, "1.1")
    offered = stocked.app.plugins.installable("fr_CA")
    assert offered[OTHER]["description"] == "Téléphones"
    assert (offered[OTHER]["installed"], offered[OTHER]["is_upgrade"]) == (None, False)
    assert (offered[PLUGIN_ID]["installed"], offered[PLUGIN_ID]["is_upgrade"]) == ("1.0", True)
    assert list(stocked.app.plugins.installable(text="other")) == [OTHER]
    installed = stocked.app.plugins.installed()
    assert list(installed) == [PLUGIN_ID]
    assert (installed[PLUGIN_ID]["version"], installed[PLUGIN_ID]["error"]) == ("1.0", None)


def test_updating_tells_how_many_there_are(stocked: House) -> None:
    operation = done(stocked, stocked.app.plugins.update)
    assert (operation.error, operation.result) == (None, {"plugins": 1, "rejected": {}})


def test_the_start_warns_of_plugins_too_old_to_report_sensitive_files(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.close()
    for plugin_id, version in (("xivo-aastra-2.0", "1.5"), ("xivo-snom-8.0", "1.6"), ("xivo-digium-1.0", "0.9")):
        write_plugin(house.plugins_folder, plugin_id, info={**INFO, "version": version})
    write_plugin(house.plugins_folder, "xivo-polycom-4.0", info={**INFO, "version": "1.0"}, entry="1/0")
    caplog.clear()
    house.open()
    assert [line for line in caplog.messages if "too old" in line] == [
        "plugin is too old to report sensitive files, upgrade it: plugin=xivo-aastra-2.0 version=1.5 needed=1.6",
        "plugin is too old to report sensitive files, upgrade it: plugin=xivo-digium-1.0 version=0.9 needed=1.0",
    ]


# --- install


def test_an_installed_plugin_recognises_its_phones_at_once(stocked: House) -> None:
    operation = done(stocked, stocked.app.plugins.install, OTHER)
    assert operation.error is None
    assert str(operation).startswith("install|success")
    request = phone("Other/00085D000001.cfg")
    request.headers = {"user-agent": "Other S100 00:08:5d:00:00:01 1.0"}
    assert isinstance(stocked.ask(request), bytes)
    assert stocked.the_device()["plugin"] == OTHER


def test_devices_that_name_a_plugin_already_are_configured_when_it_comes(stocked: House) -> None:
    stocked.ask(phone())
    device = stocked.the_device()
    stocked.app.devices.change(device["id"], {**device, "plugin": OTHER})
    assert "not installed" in stocked.the_device()["configure_error"]
    operation = done(stocked, stocked.app.plugins.install, OTHER)
    assert operation.result["changed"] == 1
    assert stocked.the_device()["configured"] is True


@pytest.mark.parametrize(
    ("plugin_id", "error"), [(PLUGIN_ID, AlreadyExistsError), ("xivo-nothing-1", RepositoryError)]
)
def test_what_is_there_already_or_nowhere_is_not_installed(
    stocked: House, plugin_id: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        stocked.app.plugins.install(plugin_id, Operation())
    assert list(stocked.host.installed) == [PLUGIN_ID]


def test_what_fails_in_a_thread_is_told_to_the_caller_only(
    stocked: House, shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    shelf.add(OTHER, "1.0", files={"plugin-info": "{"})
    with pytest.raises(PluginLoadError):
        stocked.app.plugins.install(OTHER, Operation())
    assert "Traceback" not in capfd.readouterr().err


def test_a_cancelled_install_installs_nothing(stocked: House) -> None:
    operation = Operation()
    operation.cancel()
    with pytest.raises(OperationCancelledError):
        stocked.app.plugins.install(OTHER, operation)
    assert not (stocked.plugins_folder / OTHER).exists()


def test_only_one_thing_at_a_time_is_done_with_a_plugin(stocked: House) -> None:
    first = gevent.spawn(stocked.app.plugins.install, OTHER, Operation())
    gevent.sleep(0)
    with pytest.raises(AlreadyExistsError, match="already in progress: install"):
        stocked.app.plugins.install(OTHER, Operation())
    first.get(timeout=10)
    assert OTHER in stocked.host.installed


# --- upgrade


def test_an_upgrade_keeps_what_is_the_administrators_and_configures_the_devices(stocked: House, shelf: Shelf) -> None:
    for number in range(3):
        stocked.ask(phone_number(number))
    own = write(stocked.plugins_folder / PLUGIN_ID / "var/templates/00085D000002.cfg.tpl", "my own")
    firmware = write(stocked.root() / "firmware.bin", "bytes")
    shelf.add(PLUGIN_ID, "1.1", files={"templates/base.tpl": f"new {BASE_TEMPLATE}"})
    operation = done(stocked, stocked.app.plugins.upgrade, PLUGIN_ID)
    assert operation.error is None
    assert (operation.result["changed"], operation.result["failed"]) == (3, {})
    assert operation.result["changed_originals"], "the custom template was made from one that changed"
    assert stocked.app.plugins.installed()[PLUGIN_ID]["version"] == "1.1"
    assert (own.read_text(), firmware.read_text()) == ("my own", "bytes")
    assert str(stocked.ask_quick(phone_number(0))).startswith("b'new ")
    assert stocked.ask_quick(phone_number(2)) == b"my own"


def test_phones_are_served_at_every_moment_of_an_upgrade(stocked: House, shelf: Shelf) -> None:
    stocked.ask(phone())
    shelf.add(PLUGIN_ID, "1.1", files={"templates/base.tpl": f"new {BASE_TEMPLATE}"})
    answers: list[Any] = []

    def keep_asking() -> None:
        while not (answers and isinstance(answers[-1], bytes) and answers[-1].startswith(b"new ")):
            answers.append(stocked.ask(phone()))
            gevent.sleep(0)

    asker = gevent.spawn(keep_asking)
    stocked.app.plugins.upgrade(PLUGIN_ID, Operation())
    asker.join(10)
    assert asker.successful()
    assert not [answer for answer in answers if isinstance(answer, Problem)]


@pytest.mark.parametrize("entry", ["1/0", "x = 1", "raise SystemExit"])
def test_a_version_that_does_not_load_does_not_replace_one_that_does(
    stocked: House, shelf: Shelf, entry: str
) -> None:
    stocked.ask(phone())
    shelf.add(PLUGIN_ID, "1.1", entry=entry)
    with pytest.raises(PluginLoadError):
        stocked.app.plugins.upgrade(PLUGIN_ID, Operation())
    assert stocked.app.plugins.installed()[PLUGIN_ID]["version"] == "1.0"
    assert isinstance(stocked.ask_quick(phone()), bytes)
    assert sorted(path.name for path in stocked.plugins_folder.iterdir()) == [PLUGIN_ID]


def test_a_device_that_the_new_version_cannot_configure_is_told_and_keeps_its_file(
    stocked: House, shelf: Shelf
) -> None:
    before = stocked.ask(phone())
    shelf.add(PLUGIN_ID, "1.1", files={"templates/base.tpl": "{{ 1 / 0 }}"})
    operation = done(stocked, stocked.app.plugins.upgrade, PLUGIN_ID)
    assert operation.error is None
    (reason,) = operation.result["failed"].values()
    assert "base.tpl" in reason
    assert stocked.ask(phone()) == before


@pytest.mark.parametrize("verb", ["upgrade", "reload", "uninstall", "objections_to_uninstall", "packages"])
def test_a_plugin_that_is_not_installed_is_not_found(stocked: House, verb: str) -> None:
    arguments = [Operation()] if verb == "upgrade" else []
    with pytest.raises(NotFoundError, match="xivo-nothing-1"):
        getattr(stocked.app.plugins, verb)("xivo-nothing-1", *arguments)


# --- reload and uninstall


def test_changed_code_is_used_after_a_reload(stocked: House) -> None:
    stocked.ask(phone())
    write(stocked.plugins_folder / PLUGIN_ID / "templates/base.tpl", "edited")
    assert stocked.app.plugins.reload(PLUGIN_ID) == {"changed": 1, "failed": {}}
    assert stocked.ask_quick(phone()) == b"edited"
    write(stocked.plugins_folder / PLUGIN_ID / "entry.py", "1/0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        stocked.app.plugins.reload(PLUGIN_ID)
    assert stocked.ask_quick(phone()) == b"edited", "what ran before goes on"


def test_a_plugin_in_use_is_not_uninstalled_by_accident(stocked: House) -> None:
    stocked.ask(phone())
    write(stocked.plugins_folder / PLUGIN_ID / "var/templates/base.tpl", "mine")
    with pytest.raises(ConflictError, match=r"in use: 1 devices have it; 1 custom templates: base.tpl"):
        stocked.app.plugins.uninstall(PLUGIN_ID)
    assert isinstance(stocked.ask_quick(phone()), bytes)


def test_a_forced_uninstall_saves_the_templates_and_says_so_on_the_devices(stocked: House) -> None:
    stocked.ask(phone())
    write(stocked.plugins_folder / PLUGIN_ID / "var/templates/base.tpl", "mine")
    backup = stocked.app.plugins.uninstall(PLUGIN_ID, force=True)
    assert backup is not None
    assert backup.is_file()
    assert not (stocked.plugins_folder / PLUGIN_ID).exists()
    device = stocked.the_device()
    assert (device["configured"], device["plugin"]) == (False, PLUGIN_ID)
    assert "not installed" in device["configure_error"]
    assert stocked.ask(phone()) is Problem.NO_PLUGIN


def test_a_device_whose_plugin_was_uninstalled_gets_the_next_best_one(stocked: House, shelf: Shelf) -> None:
    stocked.ask(phone())
    shelf.add("xivo-sample-2.0", "2.0")
    stocked.app.plugins.install("xivo-sample-2.0", Operation())
    stocked.app.plugins.uninstall(PLUGIN_ID, force=True)
    assert isinstance(stocked.ask(phone()), bytes)
    assert stocked.the_device()["plugin"] == "xivo-sample-2.0"


# --- packages


def test_a_firmware_package_is_installed_while_the_hub_goes_on(
    stocked: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"firmware"
    pkgs = f"""
[pkg_fw]
description: Firmware
version: 1.0
files: fw
install: plain

[file_fw]
url: http://192.0.2.1/fw.bin
size: {len(content)}
sha1sum: {hashlib.sha1(content).hexdigest()}

[install_plain]
a-b: cp $FILE1 firmware/
"""
    write(stocked.plugins_folder / PLUGIN_ID / "pkgs/pkgs.db", pkgs)

    def download(self: HttpDownloader, source: Source, target: Path, operation: Operation) -> None:
        gevent.sleep(0.001)
        target.write_bytes(content)

    monkeypatch.setattr(HttpDownloader, "download", download)
    operation = done(stocked, stocked.app.plugins.install_package, PLUGIN_ID, "fw")
    assert operation.error is None
    assert (stocked.root() / "firmware/fw.bin").read_bytes() == content
    assert "fw" in stocked.app.plugins.packages(PLUGIN_ID).installed()
    stocked.app.plugins.uninstall_package(PLUGIN_ID, "fw")
    assert not (stocked.root() / "firmware").exists()
