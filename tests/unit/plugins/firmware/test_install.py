"""Installing, upgrading and removing packages, as an administrator sees it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from provd.errors import AlreadyExistsError, NotFoundError, PackageError
from provd.model.operation import Operation, State
from provd.plugins.firmware.limits import Limits
from provd.plugins.firmware.manager import PackageManager
from provd.plugins.firmware.values import Installable, Installed

from .sample import FIRMWARE, SITE, Plugin, file_section, member, program, rar_of, tar_of, zip_of


def test_a_package_from_beginning_to_end(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE, more="description_fr: Micrologiciel")
    size = len(plugin.vendor.files[SITE + "fw.zip"])
    assert plugin.manager.installable("fr_FR") == {"fw": Installable("1.0", "Micrologiciel", size)}
    assert plugin.manager.installed() == {}

    operation = plugin.install("fw")
    assert str(operation) == f"install_pkg|success(download|success(success;{size}/{size}))(install|success)"
    assert plugin.tree() == FIRMWARE
    assert stat.S_IMODE((plugin.root / "Sample/a.st").stat().st_mode) & 0o600 == 0o600
    assert plugin.manager.installed("fr") == {"fw": Installed("1.0", "Micrologiciel", explicit=True)}
    assert plugin.manager.installed() == {"fw": Installed("1.0", "Firmware fw", explicit=True)}
    assert plugin.leftovers() == []

    plugin.manager.uninstall("fw")
    assert (plugin.tree(), plugin.manager.installed(), plugin.leftovers()) == ({}, {}, [])
    assert (plugin.folder / "var/cache/fw.zip").exists()
    assert plugin.install("fw").state is State.SUCCESS
    assert plugin.vendor.asked == [SITE + "fw.zip"]  # once: the second time it is in the cache


def test_the_record(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    record = json.loads((plugin.folder / "var/installed/fw").read_text())
    assert record["pkg_info"] == {"id": "fw", "version": "1.0", "description": "Firmware fw", "depends": []}
    assert record["explicit_install"] is True
    assert record["files"] == {path: hashlib.sha256(content).hexdigest() for path, content in FIRMWARE.items()}


def test_every_kind_of_step(plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "unrar", "echo from rar > r.bin")
    program(tmp_path / "bin", "7zr", "echo from 7z > s.bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    files = {
        "z.zip": zip_of({"inner/t.tar": tar_of(member("t.bin", b"t"), kind=""), "README": b"?", "keep.bin": b"k"}),
        "t.tgz": tar_of(member("d", kind=tarfile.DIRTYPE), member("d/x.bin", b"x"), member("d/y.txt", b"y"), kind="gz"),
        "s.sgn": b"signature" + gzip.compress(b"signed", mtime=0),
        "r.rar": rar_of({}),
        "7.7z": b"",
        "plain.bin": b"plain",
    }
    plugin.offer("fw", files, [
        "a-b: unzip $FILE1",
        "b-c: untar inner/t.tar",
        "b-d: exclude README inner",
        "a-e: untar $FILE2",
        "e-f: include d/*.bin",
        "f-g: cp d/x.bin Sample/deep/renamed.bin",
        "a-h: unsign $FILE3 signed.gz",
        "a-i: unrar $FILE4",
        "i-j: cp *.bin Sample/",
        "a-k: 7z $FILE5",
        "a-l: cp $FILE6 Sample/",
        "c-m: null",
    ])  # fmt: skip
    plugin.install("fw")
    assert plugin.tree() == {
        "keep.bin": b"k", "Sample/deep/renamed.bin": b"x", "signed.gz": gzip.compress(b"signed", mtime=0),
        "Sample/r.bin": b"from rar\n", "s.bin": b"from 7z\n", "Sample/plain.bin": b"plain",
    }  # fmt: skip
    assert plugin.leftovers() == []


def test_a_step_that_fails_says_where_it_stands_and_changes_nothing(plugin: Plugin) -> None:
    plugin.offer("fw", {"x.zip": b"no zip"}, ["a-b: unzip $FILE1"])
    operation = Operation()
    with pytest.raises(PackageError, match=r"pkgs\.db:\d+: \[install_fw\] a-b: x\.zip: cannot be unpacked") as error:
        plugin.manager.install("fw", operation)
    assert str(operation) == "install_pkg|fail(download|success(success;6/6))(install|fail)"
    assert operation.error == str(error.value)
    assert (plugin.tree(), plugin.manager.installed(), plugin.leftovers()) == ({}, {}, [])
    plugin.offer("fw", {"x.zip": zip_of(FIRMWARE)}, ["a-b: unzip $FILE1", "b-c: untar no.tar"])
    (plugin.folder / "var/cache/x.zip").unlink()
    with pytest.raises(PackageError, match=r"b-c: there is no file 'no\.tar'"):
        plugin.install("fw")


def test_the_bounds_hold_for_all_steps_together(plugin: Plugin) -> None:
    zips = {f"{number}.zip": zip_of({"x": bytes(400_000)}) for number in range(3)}
    plugin.offer("fw", zips, [f"a-{node}: unzip $FILE{number}" for number, node in enumerate("bcd", 1)])
    plugin.limits = Limits(max_bytes=1_000_000)
    with pytest.raises(PackageError, match="more than 1000000 bytes would be unpacked"):
        plugin.install("fw")
    assert plugin.leftovers() == []


def test_the_plugin_chooses_a_folder(plugin: Plugin) -> None:
    plugin.offer_files("fw", {"a.st": b"1"})
    PackageManager(plugin.folder, plugin.vendor, folder="Sample/").install("fw", Operation())
    assert plugin.tree() == {"Sample/a.st": b"1"}
    with pytest.raises(PackageError, match="is not allowed"):
        PackageManager(plugin.folder, plugin.vendor, folder="../x")


def test_unknown_and_wrong_packages(plugin: Plugin) -> None:
    plugin.define("bad", "[pkg_bad]\nversion: 1\n[rubbish]\n")
    plugin.offer_files("fw", FIRMWARE)
    manager = plugin.manager
    assert len(manager.problems()) == 2
    assert list(manager.installable()) == ["fw"]
    for package_id, message in (("no", "package not found: no"), ("../../x", "not found"), ("bad", "missing")):
        operation = Operation()
        with pytest.raises((NotFoundError, PackageError), match=message):
            manager.install(package_id, operation)
        assert str(operation) == "install_pkg|fail"
    for package_id in ("fw", "no", "../../x"):
        with pytest.raises(NotFoundError, match="package not installed"):
            manager.uninstall(package_id)
    with pytest.raises(NotFoundError, match="package not installed: fw"):
        manager.upgrade("fw", Operation())
    assert not (plugin.folder.parent / "x").exists()
    plugin.install("fw")
    with pytest.raises(AlreadyExistsError, match="the package fw is installed already"):
        plugin.install("fw")


def test_upgrading_replaces_adds_and_removes(plugin: Plugin) -> None:
    plugin.offer_files("fw", {"S/a": b"1", "S/same": b"s", "S/old/gone": b"g"})
    plugin.install("fw")
    inode = (plugin.root / "S/same").stat().st_ino
    plugin.offer_files("fw", {"S/a": b"2", "S/same": b"s", "S/new/n": b"n"}, version="2.0")
    assert plugin.manager.installed()["fw"].version == "1.0"
    operation = Operation()
    plugin.manager.upgrade("fw", operation)
    assert str(operation).startswith("install_pkg|success(download|success(")
    assert plugin.tree() == {"S/a": b"2", "S/same": b"s", "S/new/n": b"n"}
    assert (plugin.root / "S/same").stat().st_ino == inode
    assert plugin.manager.installed() == {"fw": Installed("2.0", "Firmware fw", explicit=True)}
    assert plugin.leftovers() == []
    plugin.manager.uninstall("fw")
    assert plugin.tree() == {}


def test_upgrading_to_the_same_version_mends(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    shutil.rmtree(plugin.root / "Sample/i18n")
    plugin.manager.upgrade("fw", Operation())
    assert plugin.tree() == FIRMWARE


def test_files_of_one_content_are_put_down_each(plugin: Plugin) -> None:
    plugin.define("fw", file_section("x", "x.bin", b"x") + (
        "[pkg_fw]\nversion: 1\ndescription: x\nfiles: x\ninstall: fw 6731i 6730i\n"
        "[install_fw]\na-b: cp $FILE1 S/$ARG1.st\na-c: cp $FILE1 S/$ARG2.st\n"
    ))  # fmt: skip
    plugin.vendor.files[SITE + "x.bin"] = b"x"
    plugin.install("fw")
    assert plugin.tree() == {"S/6731i.st": b"x", "S/6730i.st": b"x"}


def test_folders_that_a_program_closes_are_removed(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "unrar", "mkdir -p a/b; echo > a/b/c; chmod 0 a/b; chmod 0 a; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    plugin.offer("fw", {"x.rar": b""}, ["a-b: unrar $FILE1"])
    for _ in range(2):
        with pytest.raises(PackageError, match=r"unrar ended with 1|Permission denied"):
            plugin.install("fw")
        assert plugin.leftovers() == []
