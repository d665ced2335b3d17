"""The steps that only choose and rename files, and what comes out of all steps."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PackageError
from provd.plugins.firmware import fileset

NODE = {name: Path(f"/{number}") for number, name in enumerate(["x.bin", "y.bin", "d/x.bin", "d/e/z", ".h", "d/.h"])}


def names(files: fileset.FileSet) -> list[str]:
    return sorted(files)


def test_include_takes_what_the_globs_match_and_all_that_is_in_matching_folders() -> None:
    assert names(fileset.include(NODE, ["*.bin"])) == ["x.bin", "y.bin"]
    assert names(fileset.include(NODE, ["d/*"])) == ["d/e/z", "d/x.bin"]
    assert names(fileset.include(NODE, ["d", "[y]*"])) == ["d/.h", "d/e/z", "d/x.bin", "y.bin"]
    assert fileset.include(NODE, ["*"])["d/e/z"] == NODE["d/e/z"]


def test_exclude_takes_the_others() -> None:
    assert names(fileset.exclude(NODE, ["*.bin", "d/*"])) == [".h", "d/.h"]


@pytest.mark.parametrize(
    ("patterns", "target", "result"),
    [
        (["*.bin"], "Aastra/", {"Aastra/x.bin": "x.bin", "Aastra/y.bin": "y.bin"}),
        (["d/e/z", "x.bin"], "/", {"z": "d/e/z", "x.bin": "x.bin"}),
        (["d"], "deep/er/", {"deep/er/d/x.bin": "d/x.bin", "deep/er/d/e/z": "d/e/z", "deep/er/d/.h": "d/.h"}),
        (["d/e"], "/", {"e/z": "d/e/z"}),
        (["x.*"], "deep/name", {"deep/name": "x.bin"}),
        (["x.bin", "x*"], "t/", {"t/x.bin": "x.bin"}),
    ],
)
def test_copy(patterns: list[str], target: str, result: dict[str, str]) -> None:
    assert fileset.copy(NODE, patterns, target) == {name: NODE[source] for name, source in result.items()}


@pytest.mark.parametrize(
    ("patterns", "target", "message"),
    [
        (["*.bin"], "name", "more than one file for 'name'; the name of a folder ends with '/'"),
        (["d"], "name", "more than one file for 'name'"),
        (["x.bin", "d/x.bin"], "t/", "two files would become 't/x.bin'"),
        (["x.bin", "*.txt"], "t/", "'*.txt' matches no file"),
        (["*/*/*/*"], "t/", "matches no file"),
    ],
)
def test_what_cannot_be_copied(patterns: list[str], target: str, message: str) -> None:
    with pytest.raises(PackageError) as error:
        fileset.copy(NODE, patterns, target)
    assert message in str(error.value)


def test_results_are_merged_below_the_folder_and_hidden_ones_left_out() -> None:
    merged = fileset.merge([{"a": Path("1"), ".x/b": Path("2")}, {"c/d": Path("3"), "c/.provd-1": Path("4")}], "Aastra")
    assert merged == {"Aastra/a": Path("1"), "Aastra/c/d": Path("3")}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([{"a": Path("1")}, {"a": Path("2")}], "two results have a file 'a'"),
        ([{"a/b": Path("1")}, {"a": Path("2")}], "'a' is a file, and a folder with 'a/b' in it"),
        ([{"a" * 256: Path("1")}], "the name is too long"),
        ([{"é" * 128: Path("1")}], "the name is too long"),
        ([{"a/" * 600 + "b": Path("1")}], "the name is too long"),
    ],
)
def test_results_that_no_folder_could_hold(nodes: list[fileset.FileSet], message: str) -> None:
    with pytest.raises(PackageError, match=message):
        fileset.merge(nodes, "")


PARTS = st.text("abd.*?[]!-", min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))
PATTERNS = st.lists(PARTS | st.sampled_from(["*", "d", "*.bin", "[!x]*", ".*"]), min_size=1, max_size=3).map("/".join)
TREE = (*NODE, "[", "-/]", "ad-b/!a", "**")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@given(pattern=PATTERNS)
def test_globs_match_what_pythons_own_match_in_a_real_folder(folder: Path, pattern: str) -> None:
    expected = sorted(glob.glob(pattern, root_dir=folder))
    try:
        assert fileset.matches(pattern, TREE) == expected
    except PackageError:
        assert expected == []
