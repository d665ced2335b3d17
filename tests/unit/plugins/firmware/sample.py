"""A plugin with firmware packages, the vendor's site that has them, and archives to put there."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from provd.errors import RepositoryError
from provd.model.operation import Operation
from provd.plugins.downloads import Source
from provd.plugins.firmware.limits import Limits
from provd.plugins.firmware.manager import PackageManager

FIRMWARE = {"Sample/a.st": b"firmware a", "Sample/i18n/de.txt": b"deutsch"}
SITE = "http://vendor.example/firmware/"


class Vendor:
    """A vendor's site, and a downloader that knows no other; what is not there is a dead link."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        for url in source.urls:
            self.asked.append(url)
            content = self.files.get(url)
            if content is not None:
                operation.begin(source.size)
                operation.advance(len(content))
                target.write_bytes(content)
                return
        raise RepositoryError("; ".join(f"{url}: 404 Not Found" for url in source.urls))


class Plugin:
    """A plugin's folder with packages in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vendor = Vendor()
        self.texts: dict[str, str] = {}
        self.limits = Limits(timeout_s=10)
        for name in ("pkgs", "var/cache", "var/installed", "var/tftpboot"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        return self.folder / "var/tftpboot"

    @property
    def manager(self) -> PackageManager:
        """A new one each time, as after a restart."""
        return PackageManager(self.folder, self.vendor, limits=self.limits)

    def define(self, name: str, text: str) -> None:
        """Write a part of `pkgs/pkgs.db`."""
        self.texts[name] = text
        (self.folder / "pkgs/pkgs.db").write_text("\n".join(self.texts.values()))

    def offer(
        self, package_id: str, files: Mapping[str, bytes], steps: Iterable[str], *, version: str = "1.0", more: str = ""
    ) -> None:
        """Define a package of files that the vendor has."""
        text = ""
        for number, (name, content) in enumerate(files.items(), 1):
            self.vendor.files[SITE + name] = content
            text += file_section(f"{package_id}-{number}", name, content)
        numbers = " ".join(f"{package_id}-{number}" for number in range(1, len(files) + 1))
        text += f"[pkg_{package_id}]\ndescription: Firmware {package_id}\nversion: {version}\n"
        text += f"files: {numbers}\ninstall: {package_id}\n{more}\n"
        text += f"[install_{package_id}]\n" + "".join(f"{step}\n" for step in steps)
        self.define(package_id, text)

    def offer_files(self, package_id: str, files: Mapping[str, bytes], *, version: str = "1.0", more: str = "") -> None:
        """Define a package that puts these files down as they are."""
        self.offer(package_id, {f"{package_id}.zip": zip_of(files)}, ["a-b: unzip $FILE1"], version=version, more=more)

    def install(self, package_id: str) -> Operation:
        operation = Operation()
        self.manager.install(package_id, operation)
        return operation

    def tree(self) -> dict[str, bytes]:
        """What phones get."""
        return tree(self.root)

    def leftovers(self) -> list[str]:
        """What should not be there when nothing is being done."""
        places = [*self.folder.glob("var/.packages/pkg/*/*"), *self.folder.rglob(".provd-*")]
        return [str(path) for path in places if path.name != "lock"]


def file_section(identifier: str, name: str, content: bytes) -> str:
    sha1 = hashlib.sha1(content).hexdigest()
    return f"[file_{identifier}]\nurl: {SITE}{name}\nsize: {len(content)}\nsha1sum: {sha1}\n"


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, and its empty folders."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def zip_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes], kind: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    pack = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress}[kind]
    return pack(buffer.getvalue())


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def rar_of(files: Mapping[str, bytes]) -> bytes:
    """A RAR archive of version 4 that stores its files without compression."""

    def block(kind: int, flags: int, rest: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    archive = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, content in files.items():
        size, crc, raw = len(content), zlib.crc32(content), name.encode()
        rest = struct.pack("<IIBIIBBHI", size, size, 3, crc, 0x50000000, 20, 0x30, len(raw), 0o100644)
        archive += block(0x74, 0x8000, rest + raw) + content
    return archive + block(0x7B, 0x4000, b"")


def program(folder: Path, name: str, script: str) -> None:
    """A stub of a foreign program, to be found on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o755)
