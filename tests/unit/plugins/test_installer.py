"""Unpacking archives: what they must not hold is refused, and a plugin is there whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import logging
import os
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from provd.atomicfile import TEMPORARY_PREFIX
from provd.errors import AlreadyExistsError, PluginLoadError, RepositoryError
from provd.plugins import unpacking
from provd.plugins.installer import install_archive, log_other_versions
from provd.plugins.loader import load_plugin
from provd.plugins.repository import Repository

from .sample import ENTRY, write_plugin

PLUGIN = "xivo-sample-1.0"
INFO = b'{"version": "1.0", "description": "", "capabilities": {}}'


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """The folder of installed plugins, with a file beside it that nobody may touch."""
    (tmp_path / "precious").write_bytes(b"precious")
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(content), 0o6777
    return info, content


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def whole(*more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The archive of a plugin that would be fine without what is added."""
    return archive_of(
        member(PLUGIN, kind=tarfile.DIRTYPE),
        member(f"{PLUGIN}/plugin-info", INFO),
        member(f"{PLUGIN}/entry.py", ENTRY.encode()),
        member(f"{PLUGIN}/var/tftpboot/Sample", kind=tarfile.DIRTYPE),
        *more,
    )


def assert_nothing_is_left(plugins: Path) -> None:
    assert list(plugins.iterdir()) == []
    assert (plugins.parent / "precious").read_bytes() == b"precious"
    assert sorted(path.name for path in plugins.parent.iterdir()) == ["plugins", "precious"]


def test_a_plugin_is_unpacked_and_can_be_loaded(plugins: Path) -> None:
    folder = install_archive(PLUGIN, whole(member(f"{PLUGIN}/deep/er/file", b"x")), plugins)
    assert folder == plugins / PLUGIN
    assert load_plugin(folder).info.version == "1.0"
    assert (folder / "deep/er/file").read_bytes() == b"x"
    assert (folder / "var/tftpboot/Sample").is_dir()
    assert [path.name for path in plugins.iterdir()] == [PLUGIN]


def test_no_mode_of_the_archive_is_kept(plugins: Path) -> None:
    folder = install_archive(PLUGIN, whole(), plugins)
    assert stat.S_IMODE((folder / "entry.py").stat().st_mode) & 0o7133 == 0


@pytest.mark.parametrize(
    "bad",
    [
        member(f"{PLUGIN}/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member(f"{PLUGIN}/link", kind=tarfile.SYMTYPE, link="entry.py"),
        member(f"{PLUGIN}/link", kind=tarfile.LNKTYPE, link=f"{PLUGIN}/entry.py"),
        member(f"{PLUGIN}/link", kind=tarfile.LNKTYPE, link="../../precious"),
        member(f"{PLUGIN}/pipe", kind=tarfile.FIFOTYPE),
        member(f"{PLUGIN}/device", kind=tarfile.CHRTYPE),
        member(f"{PLUGIN}/device", kind=tarfile.BLKTYPE),
        member("../precious", b"x"),
        member(f"{PLUGIN}/../../precious", b"x"),
        member(f"{PLUGIN}/a/../../../precious", b"x"),
        member(f"{PLUGIN}/./a", b"x"),
        member(f"{PLUGIN}//a", b"x"),
        member("/etc/precious", b"x"),
        member(f"/{PLUGIN}/a", b"x"),
        member("another/entry.py", b"x"),
        member("plugin-info", b"x"),
        member(f"{PLUGIN}-evil/entry.py", b"x"),
        member("", b"x"),
        member("..", kind=tarfile.DIRTYPE),
    ],
    ids=lambda bad: f"{bad[0].name or 'empty'}-{bad[0].type.decode()}-{bad[0].linkname}",
)
def test_what_an_archive_must_not_hold_is_refused(plugins: Path, bad: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(RepositoryError, match="the archive holds"):
        install_archive(PLUGIN, whole(bad), plugins)
    assert_nothing_is_left(plugins)


@pytest.mark.parametrize(
    "more",
    [
        [member(f"{PLUGIN}/entry.py/below", b"x")],
        [member(f"{PLUGIN}/entry.py", kind=tarfile.DIRTYPE)],
        [member(f"{PLUGIN}/var", b"x")],
        [member(f"{PLUGIN}/{'x' * 300}", b"x")],
    ],
    ids=["below a file", "a folder over a file", "a file over a folder", "an over-long name"],
)
def test_members_that_contradict_each_other_are_refused(
    plugins: Path, more: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    with pytest.raises(RepositoryError, match=f"^{PLUGIN}: cannot be unpacked"):
        install_archive(PLUGIN, whole(*more), plugins)
    assert_nothing_is_left(plugins)


def test_too_many_files_are_refused(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 3)
    with pytest.raises(RepositoryError, match="more than 3 files or"):
        install_archive(PLUGIN, whole(), plugins)
    assert_nothing_is_left(plugins)
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 4)
    install_archive(PLUGIN, whole(), plugins)


def test_too_much_content_is_refused_before_it_is_written(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(RepositoryError, match="or 1000000 bytes"):
        install_archive(PLUGIN, whole(member(f"{PLUGIN}/zeros", bytes(1_000_000))), plugins)
    assert_nothing_is_left(plugins)


def test_an_extended_header_takes_no_more_memory_than_a_file_may(plugins: Path) -> None:
    """300 MB of zeros, a few hundred bytes in the archive, in a process that may take 200 MB more than it has."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 300_000_000
    bomb = bz2.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(300_000_000 + 10_240), 9)
    (plugins.parent / "bomb").write_bytes(bomb)
    source = (
        "import resource, sys; from pathlib import Path\n"
        "from provd.errors import RepositoryError\n"
        "from provd.plugins.installer import install_archive\n"
        "size = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() + 200_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "try: install_archive('p', Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]))\n"
        "except RepositoryError: print('refused')\n"
    )
    command = [sys.executable, "-c", source, plugins.parent / "bomb", plugins]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert ended.stdout == b"refused\n", ended.stderr


@pytest.mark.parametrize("cut", [0, 1, 10, 200, -20])
def test_an_archive_that_is_cut_off_is_refused(plugins: Path, cut: int) -> None:
    content = whole(member(f"{PLUGIN}/random", os.urandom(5000)))
    with pytest.raises(RepositoryError, match=f"^{PLUGIN}: "):
        install_archive(PLUGIN, content[:cut], plugins)
    assert_nothing_is_left(plugins)


@pytest.mark.parametrize(
    "content", [b"", b"BZh9", b"no archive", gzip.compress(b"x" * 10_240), bz2.compress(b"x" * 10_240)]
)
def test_what_is_no_archive_is_refused(plugins: Path, content: bytes) -> None:
    with pytest.raises(RepositoryError):
        install_archive(PLUGIN, content, plugins)
    assert_nothing_is_left(plugins)


def test_a_flipped_byte_is_noticed(plugins: Path) -> None:
    content = bytearray(whole(member(f"{PLUGIN}/random", os.urandom(5000))))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(RepositoryError):
        install_archive(PLUGIN, bytes(content), plugins)
    assert_nothing_is_left(plugins)


def test_a_tar_that_breaks_off_inside_a_file_is_refused(plugins: Path) -> None:
    tar = bz2.decompress(whole(member(f"{PLUGIN}/random", os.urandom(50_000))))
    with pytest.raises(RepositoryError, match="the archive is damaged"):
        install_archive(PLUGIN, bz2.compress(tar[:20_000]), plugins)
    assert_nothing_is_left(plugins)


def test_an_archive_without_a_good_plugin_info_is_refused(plugins: Path) -> None:
    for content in (archive_of(member(f"{PLUGIN}/entry.py", b"")), archive_of(), archive_of(member(PLUGIN, b"x"))):
        with pytest.raises(PluginLoadError):
            install_archive(PLUGIN, content, plugins)
        assert_nothing_is_left(plugins)


def test_what_is_installed_is_not_touched(plugins: Path) -> None:
    folder = write_plugin(plugins)
    before = sorted(folder.rglob("*"))
    with pytest.raises(AlreadyExistsError, match="is installed already"):
        install_archive(PLUGIN, whole(), plugins)
    assert sorted(folder.rglob("*")) == before


def test_a_missing_folder_is_named(plugins: Path) -> None:
    plugins.rmdir()
    plugins.write_bytes(b"")
    with pytest.raises(RepositoryError, match=r"cannot be unpacked: .*Not a directory"):
        install_archive(PLUGIN, whole(), plugins)


def test_a_kill_in_between_leaves_nothing_that_can_be_seen(plugins: Path) -> None:
    """The child is killed as soon as the first files are unpacked."""
    many = [member(f"{PLUGIN}/file{number}", b"x") for number in range(5000)]
    (plugins.parent / "archive").write_bytes(whole(*many))
    source = (
        "import sys; from pathlib import Path; from provd.plugins.installer import install_archive\n"
        "install_archive(sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]))"
    )
    child = subprocess.Popen([sys.executable, "-c", source, PLUGIN, plugins.parent / "archive", plugins])
    deadline = time.monotonic() + 20
    while not list(plugins.glob(f"{TEMPORARY_PREFIX}*/{PLUGIN}/file*")):
        assert time.monotonic() < deadline
        assert child.poll() is None, "the child was too fast"
    child.kill()
    assert child.wait() == -9
    assert [path for path in plugins.iterdir() if not path.name.startswith(".")] == []
    assert install_archive(PLUGIN, whole(), plugins) == plugins / PLUGIN


# --- other versions


@pytest.fixture
def told(plugins: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., list[tuple[int, str]]]:
    """What is logged of installed plugins when the repository beside them has these."""

    def compare(repository: Mapping[str, str] | None, *plugin_ids: str) -> list[tuple[int, str]]:
        if repository is not None:
            entries = {
                plugin_id: {"filename": "x.tar.bz2", "version": version, "sha1sum": "0"}
                for plugin_id, version in repository.items()
            }
            (plugins.parent / "plugins.db").write_text(json.dumps(entries))
        with caplog.at_level(logging.INFO):
            log_other_versions(plugin_ids, Repository(str(plugins.parent)), plugins)
        return [(record.levelno, record.getMessage()) for record in caplog.records]

    return compare


@pytest.mark.parametrize("version", ["1.1", "0.9", "1.0 "])
def test_a_plugin_of_another_version_is_named(plugins: Path, told: Callable[..., list], version: str) -> None:
    write_plugin(plugins)
    assert told({PLUGIN: version}, PLUGIN) == [
        (
            logging.WARNING,
            f"plugin not upgraded: plugin={PLUGIN} installed='1.0' repository_has={version!r} "
            f"repository={plugins.parent}",
        )
    ]


def test_a_plugin_of_the_same_version_and_one_that_the_repository_lacks_are_not(
    plugins: Path, told: Callable[..., list]
) -> None:
    write_plugin(plugins)
    write_plugin(plugins, "xivo-own-1.0")
    write_plugin(plugins, "xivo-bad-1.0", info="{")
    assert told({PLUGIN: "1.0", "xivo-bad-1.0": "2.0"}, PLUGIN, "xivo-own-1.0", "xivo-bad-1.0", "xivo-gone-1.0") == []


def test_a_repository_that_cannot_be_asked_is_no_reason_not_to_start(
    plugins: Path, told: Callable[..., list]
) -> None:
    write_plugin(plugins)
    reason = f"general.plugin_server: {plugins.parent} has no plugins.db"
    message = f"installed plugins not compared with the repository: reason={reason!r}"
    assert told(None, PLUGIN) == [(logging.INFO, message)]
