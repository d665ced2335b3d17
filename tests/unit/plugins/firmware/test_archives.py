"""Unpacking: what a vendor packs comes out; what an attacker packs does not."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PackageError
from provd.model.operation import Operation, OperationCancelledError
from provd.plugins.firmware import archives
from provd.plugins.firmware.limits import Budget, Limits

from .sample import member, tar_of, zip_of

FILES = {"a": b"1", "d/b.bin": b"2" * 700_000, "d/leer": b""}
LIMITS = Limits(max_bytes=1_000_000, max_members=20)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder; whatever appears beside it should not."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def unpack(work: Path, content: bytes, operation: Operation | None = None) -> dict[str, bytes]:
    archive = work / "archive"
    archive.write_bytes(content)
    budget = Budget(LIMITS, operation or Operation())
    unpacker = archives.unzip if content[:2] == b"PK" else archives.untar
    files = unpacker(archive, work, budget)
    assert [path.name for path in work.parent.iterdir()] == ["work"]
    assert all(path.parent == work and path.is_file() and not path.is_symlink() for path in work.iterdir())
    return {name: path.read_bytes() for name, path in files.items()}


@pytest.mark.parametrize("kind", ["", "gz", "bz2"])
def test_tar(work: Path, kind: str) -> None:
    folder = member("d/", kind=tarfile.DIRTYPE)
    assert unpack(work, tar_of(folder, *(member(*item) for item in FILES.items()), kind=kind)) == FILES


def test_tar_packed_by_xz(work: Path) -> None:
    assert unpack(work, lzma.compress(tar_of(*(member(*item) for item in FILES.items())))) == FILES


def test_zip(work: Path) -> None:
    assert unpack(work, zip_of({"d/": b"", **FILES})) == FILES


def test_a_zip_that_was_packed_on_windows(work: Path) -> None:
    assert unpack(work, zip_of({"d\\e\\f": b"x"})) == {"d/e/f": b"x"}


HOSTILE = ["../x", "/etc/x", "a/../../x", "..", "a/..", "..\\x", "\\etc\\x", "C:\\x", "c:/x", "a\x01b", "a\nb", "a\x85"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_zip_that_wants_out(work: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"is not allowed; allowed: a path inside the folder"):
        unpack(work, zip_of({"good": b"", name: b"x"}))


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\\" not in name])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_a_tar_that_wants_out(work: Path, name: str, kind: bytes) -> None:
    with pytest.raises(PackageError, match=r"is not allowed; allowed: a path inside the folder"):
        unpack(work, tar_of(member("good"), member(name, kind=kind)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("link", ["/etc/passwd", "..", "good", "bad"])
def test_links_in_a_tar_are_left_out_and_nothing_goes_through_them(work: Path, kind: bytes, link: str) -> None:
    members = [member("good", b"1"), member("bad", kind=kind, link=link), member("bad/x", b"2"), member("bad", b"3")]
    assert unpack(work, tar_of(*members)) == {"good": b"1", "bad/x": b"2", "bad": b"3"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_in_a_tar(work: Path, kind: bytes) -> None:
    with pytest.raises(PackageError, match="'dev' is no plain file or folder"):
        unpack(work, tar_of(member("dev", kind=kind)))


def zip_with(name: str, mode: int, content: bytes = b"/etc") -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, content)
        archive.writestr("link/x", b"2")
    return buffer.getvalue()


def test_links_in_a_zip_are_left_out(work: Path) -> None:
    assert unpack(work, zip_with("link", stat.S_IFLNK | 0o777)) == {"link/x": b"2"}


def test_devices_in_a_zip(work: Path) -> None:
    with pytest.raises(PackageError, match="'dev' is no plain file or folder"):
        unpack(work, zip_with("dev", stat.S_IFCHR | 0o666))


def test_of_two_members_with_one_name_the_later_counts(work: Path) -> None:
    assert unpack(work, tar_of(member("./a", b"long"), member("a", b"2"))) == {"a": b"2"}


@pytest.mark.parametrize("name", [".", "./", "./."])
def test_a_file_without_a_name(work: Path, name: str) -> None:
    with pytest.raises(PackageError, match="is not allowed; allowed: the name of a file"):
        unpack(work, tar_of(member(f"{name}/.", b"x")))


def test_odd_encodings(work: Path) -> None:
    raw = tar_of(member("ab.bin", b"x")).replace(b"ab.bin", b"\xe9b.bin")
    checksum = sum(raw[:148]) + 8 * 32 + sum(raw[156:512])
    assert unpack(work, raw[:148] + b"%06o\0 " % checksum + raw[156:]) == {"\ufffdb.bin": b"x"}
    assert unpack(work, zip_of({"été\u00a0.bin": b"x"})) == {"été\u00a0.bin": b"x"}
    latin = zip_of({"xt.bin": b"x"}).replace(b"xt.bin", b"\x82t.bin")
    assert unpack(work, latin) == {"ét.bin": b"x"}  # code page 437, as the format says


def test_a_bomb_is_stopped_by_what_comes_out_of_it(work: Path) -> None:
    for content in (zip_of({"x": bytes(3_000_000)}), tar_of(member("x", bytes(3_000_000)), kind="gz")):
        with pytest.raises(PackageError, match=r"more than 1000000 bytes would be unpacked|too long|more is in it"):
            unpack(work, content)
        assert sum(path.stat().st_size for path in work.iterdir()) <= LIMITS.max_bytes + len(content)


def test_a_zip_that_lies_about_its_size(work: Path) -> None:
    content = bytearray(zip_of({"x": bytes(3_000_000)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.find(signature) + offset
        content[start : start + 4] = (10).to_bytes(4, "little")
    with pytest.raises(PackageError, match="cannot be unpacked"):
        unpack(work, bytes(content))
    assert sum(path.stat().st_size for path in work.iterdir()) <= 10 + len(content)


def test_too_many_members(work: Path) -> None:
    names = [f"{number}" for number in range(21)]
    for content in (zip_of(dict.fromkeys(names, b"")), tar_of(*map(member, names))):
        with pytest.raises(PackageError, match="more than 20 files would be unpacked"):
            unpack(work, content)


def test_a_tar_with_a_huge_header(work: Path) -> None:
    info, _ = member("x")
    info.pax_headers = {"comment": "x" * 2_000_000}
    with pytest.raises(PackageError, match="a header or the whole is too long"):
        unpack(work, tar_of((info, b""), kind="gz"))


@pytest.mark.parametrize("end", [0, 1, 30, 200])
def test_a_damaged_archive(work: Path, end: int) -> None:
    for content in (zip_of(FILES), tar_of(member("a", b"1"), kind="gz"), tar_of(member("a", b"1"), kind="bz2")):
        with pytest.raises(PackageError, match="archive: cannot be unpacked"):
            unpack(work, content[: min(end, len(content) - 60)])


def test_an_encrypted_zip(work: Path) -> None:
    content = bytearray(zip_of({"x": b"x"}))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(PackageError, match="encrypted"):
        unpack(work, bytes(content))


def test_a_cancelled_operation_stops(work: Path) -> None:
    operation = Operation()
    operation.cancel()
    for content in (zip_of(FILES), tar_of(member("a", b"1"))):
        with pytest.raises(OperationCancelledError):
            unpack(work, content, operation)


@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_archive_is_too_strange(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    for content in (zip_of({"a": b"1"}), tar_of(member("a", b"1"))):
        work = tmp_path_factory.mktemp("x") / "work"
        work.mkdir()
        try:
            unpack(work, content[:at] + noise + content[at + len(noise) :])
        except PackageError:
            pass


def test_unsign(tmp_path: Path) -> None:
    packed = gzip.compress(b"firmware")
    budget = Budget(LIMITS, Operation())
    for before in (b"", b"\x1f\x8b\x07" + b"s" * 300, b"s" * 511):
        (tmp_path / "signed").write_bytes(before + packed)
        archives.unsign(tmp_path / "signed", tmp_path / "out", budget)
        assert (tmp_path / "out").read_bytes() == packed
    (tmp_path / "signed").write_bytes(b"s" * 512 + packed)
    with pytest.raises(PackageError, match="signed: no gzip file begins in its first 512 bytes"):
        archives.unsign(tmp_path / "signed", tmp_path / "out", budget)
