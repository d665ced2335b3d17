"""`pkgs/`: what is right can be installed; what is wrong is told exactly, and disables its own packages only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import NotFoundError, PackageError
from provd.plugins.firmware.database import Database, parse_database, read_database
from provd.plugins.firmware.inifile import read_sections
from provd.plugins.firmware.values import localised

FILE = f"""\
[file_good]
url: http://vendor.example/good-1.0.zip
size: 12
sha1sum: {"A" * 40}
"""
PACKAGE = """\
[pkg_good]
description: Firmware
description_fr: Micrologiciel
version: 1.0
files: good
install: good some args
[install_good]
a-b: unzip $FILE1
b-c: include $ARG1 $ARG2
"""


def parse(text: str) -> Database:
    return parse_database(read_sections([("pkgs.db", text.encode())]))


def test_a_right_definition() -> None:
    database = parse(FILE + PACKAGE)
    assert (database.problems, database.broken) == ([], {})
    package = database.packages["good"]
    assert (package.version, package.dsize, package.depends) == ("1.0", 12, ())
    assert package.descriptions == {"": "Firmware", "fr": "Micrologiciel"}
    [file] = package.files
    assert (file.filename, file.urls) == ("good-1.0.zip", ("http://vendor.example/good-1.0.zip",))
    assert (file.size, file.sha1sum, file.sha256sum, file.needs_login) == (12, "a" * 40, None, False)
    assert [step.arguments for step in package.steps] == [("good-1.0.zip",), ("some", "args")]
    assert package.results == ("c",)


def test_mirrors_other_name_login_and_sha256() -> None:
    mirrors = "filename: other.zip\ndownloader: auth\nurl: http://a.example/1\n  ftp://b.example/2\n "
    text = FILE.replace("url:", mirrors)
    text = text.replace(f"sha1sum: {'A' * 40}", f"sha256sum: {'0' * 64}")
    [file] = parse(text + PACKAGE).packages["good"].files
    assert file.urls == ("http://a.example/1", "ftp://b.example/2", "http://vendor.example/good-1.0.zip")
    assert (file.filename, file.needs_login, file.sha1sum, file.sha256sum) == ("other.zip", True, None, "0" * 64)
    assert file.sums == f"12 bytes, SHA-256 {'0' * 64}"


WRONG = [
    ("size: 12", "size: 12k", "pkgs.db:3: [file_good] size: '12k' is not allowed; allowed: a number of bytes"),
    ("size: 12", "", "pkgs.db:1: [file_good] size: '' is not allowed"),
    ("size: 12", "size: 99999999999", "[file_good] size: '99999999999' is not allowed"),
    ("A" * 40, "A" * 39, "pkgs.db:4: [file_good] sha1sum: 'aaa"),
    ("sha1sum:", "sha1:", "pkgs.db:4: [file_good] sha1: is not allowed; allowed: url, size, sha1sum, sha256sum"),
    (f"sha1sum: {'A' * 40}", "", "[file_good] sha1sum: missing; needed: this or sha256sum"),
    ("url: http:", "url: gopher:", "pkgs.db:2: [file_good] url: 'gopher://vendor.example/good-1.0.zip' is not allowed"),
    ("good-1.0.zip", "", "[file_good] url: '' is not allowed; allowed: a file name"),
    ("size: 12", "size: 12\nfilename: ../x", "[file_good] filename: '../x' is not allowed"),
    ("size: 12", "size: 12\nfilename: .x", "[file_good] filename: '.x' is not allowed"),
    ("size: 12", "size: 12\ndownloader: ssh", "[file_good] downloader: 'ssh' is not allowed; allowed: default, auth"),
    ("url: http://vendor.example/good-1.0.zip", "", "[file_good] url: missing; needed: this, or filename"),
    ("version: 1.0", "", "[pkg_good] version: missing"),
    ("description: Firmware", "", "[pkg_good] description: missing"),
    ("version: 1.0", "version: 1.0\ncolour: red", "[pkg_good] colour: is not allowed; allowed: description, version"),
    ("files: good", "files: good best", "[pkg_good] files: there is no 'best'; allowed: good"),
    ("install: good some", "install: best", "[pkg_good] install: there is no 'best'; allowed: good"),
    ("install: good some args", "", "[pkg_good] install: missing"),
    ("install: good some args", "install: good some", "b-c: '$ARG2': there is no such variable here; allowed: $FILE1"),
    ("version: 1.0", "version: 1.0\ndepends: more", "[pkg_good] depends: there is no usable package 'more'"),
    ("version: 1.0", "version: 1.0\ndepends: good", "[pkg_good] depends: on itself: good -> good"),
    ("version: 1.0", "version: 1.0\nversion: 2", "version: is there twice, here and in pkgs.db:"),
    ("size: 12", "size 12", "[file_good] 'size 12' is neither [section] nor key: value"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_mistake_is_told_and_disables_its_package_only(old: str, new: str, message: str) -> None:
    assert old in FILE + PACKAGE
    other = (FILE + PACKAGE).replace("good", "other")
    database = parse((FILE + PACKAGE).replace(old, new, 1) + other)
    assert list(database.packages) == ["other"]
    assert message in database.broken["good"]
    assert len(database.problems) == 1
    with pytest.raises(PackageError, match=r"the package good cannot be installed: pkgs\.db:"):
        database.find("good")


def test_an_unknown_section_is_told_and_disturbs_nobody() -> None:
    database = parse("[package_x]\na: b\n[DEFAULT]\nversion: 9\n[pkg_]\n[pkg_../x]\n" + FILE + PACKAGE)
    assert list(database.packages) == ["good"]
    assert [problem.partition(" is not allowed")[0] for problem in database.problems] == [
        "pkgs.db:1: [package_x]", "pkgs.db:3: [DEFAULT]", "pkgs.db:5: [pkg_]", "pkgs.db:6: [pkg_../x]",
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="package not found: package_x"):
        database.find("package_x")


def test_two_files_with_one_local_name() -> None:
    other = (FILE + PACKAGE).replace("_good", "_other").replace("files: good", "files: other")
    database = parse(FILE + PACKAGE + other)
    assert database.packages == {}
    assert "[file_good], [file_other]: have one local name, 'good-1.0.zip'" in database.broken["good"]
    assert "pkgs.db:14: [file_good], [file_other]" in database.broken["other"]


def test_a_cycle_of_dependencies_is_told_and_so_is_who_needs_it() -> None:
    texts = [
        f"[pkg_{name}]\nversion: 1\ndescription: x\ndepends: {needs}\n"
        for name, needs in (("a", "b"), ("b", "c free"), ("c", "a"), ("d", "a"), ("free", ""), ("e", "free free"))
    ]
    database = parse("".join(texts))
    assert list(database.packages) == ["free", "e"]
    assert database.packages["e"].depends == ("free",)
    assert "on itself: b -> c -> a -> b" in database.broken["b"]
    assert "there is no usable package 'a'" in database.broken["d"]


def test_files_are_taken_in_the_order_of_their_names_but_for_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "2.db").write_text(PACKAGE)
    (tmp_path / "1").write_text(FILE)
    (tmp_path / ".hidden").write_text("rubbish")
    (tmp_path / "folder").mkdir()
    database = read_database(tmp_path)
    assert (list(database.packages), database.problems) == (["good"], [])
    (tmp_path / "3.db").write_bytes(b"#" * (1024 * 1024 + 1))
    assert "3.db: cannot be read" in read_database(tmp_path).problems[0]
    assert list(read_database(tmp_path).packages) == ["good"]


def test_a_plugin_without_packages(tmp_path: Path) -> None:
    assert read_database(tmp_path / "pkgs") == Database()


@pytest.mark.parametrize(
    ("locale", "text"),
    [("fr_FR.UTF-8", "fr"), ("fr_CA", "ca"), ("fr-ca", "ca"), ("de_DE", "any"), ("", "any"), (None, "any")],
)
def test_descriptions_follow_the_locale(locale: str | None, text: str) -> None:
    package = PACKAGE.replace("description: Firmware", "description: any\ndescription_fr_CA: ca")
    package = package.replace("Micrologiciel", "fr")
    assert localised(parse(FILE + package).packages["good"].descriptions, locale) == text


LINES = (FILE + PACKAGE).splitlines()


@given(st.lists(st.sampled_from([*LINES, "b-a: null", "depends: good", "x", "[pkg_x]", "a-b: cp ../x y"]), max_size=25))
def test_any_mixture_of_lines_gives_packages_or_reasons(lines: list[str]) -> None:
    database = parse("\n".join(lines))
    assert not database.packages.keys() & database.broken.keys()
    assert bool(database.problems) >= bool(database.broken)
