"""The graph of an `[install_…]` section, and the variables in its steps."""

from __future__ import annotations

import pytest

from provd.errors import PackageError
from provd.plugins.firmware.graph import InstallGraph, parse_graph, resolve
from provd.plugins.firmware.inifile import read_sections
from provd.plugins.firmware.values import PackageFile


def graph(*steps: str) -> InstallGraph:
    return parse_graph(read_sections([("x.db", "\n".join(["[install_x]", *steps]).encode())]).sections["install_x"])


def arguments(step: str, *names: str, args: tuple[str, ...] = ()) -> tuple[str, ...]:
    files = [PackageFile(name, name, (), 1, None, None) for name in names]
    return resolve(graph("a-b: null", step), files, args)[1].arguments


def test_steps_are_done_after_those_that_they_need() -> None:
    steps = graph("d-e: null", "b-d: null", "a-c: null", "a-b: null", "C-F: include x")
    assert [f"{step.source}{step.target}" for step in steps.steps] == ["ac", "ab", "bd", "cf", "de"]
    assert steps.results == ("e", "f")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["a-b: null", "c-a: null"], "x.db:3: [install_x] c-a: node 'a' holds the package's files"),
        (["a-b: null", "a-c: null", "c-b: null"], "[install_x] c-b: node 'b' has two producers, the other: x.db:2"),
        (["a-b: null", "c-d: null", "d-c: null"], "x.db:3: [install_x] c-d: no steps lead from 'a' to 'c'"),
        (["a-b: null", "x: null"], "x.db:3: [install_x] x: not allowed; allowed: two letters and a dash, such as a-b"),
        (["a-b: gunzip x"], "x.db:2: [install_x] a-b: the step 'gunzip' is not allowed; allowed: unzip, untar,"),
        (["a-b:"], "the step '' is not allowed"),
        (["a-b: unzip"], "unzip has 0 arguments; needed: 1"),
        (["a-b: unsign x"], "unsign has 1 arguments; needed: 2"),
        (["a-b: cp x"], "cp has 1 arguments; needed: at least 2"),
        (["a-b: null x"], "null has 1 arguments; needed: 0"),
        ([], "[install_x] has no steps; allowed: <src>-<dst>: <step>"),
    ],
)
def test_a_wrong_graph_is_told(steps: list[str], message: str) -> None:
    with pytest.raises(PackageError) as error:
        graph(*steps)
    assert message in str(error.value)


def test_variables() -> None:
    assert arguments("b-c: cp x-$FILE2.$ARG1 \\$FILE1/$ARG12/", "f1", "f 2", args=(*"z123456789", "x", "12")) == (
        "x-f 2.z", "$FILE1/12/",
    )  # fmt: skip


def test_a_files_name_stands_for_itself_in_a_glob_and_an_argument_may_be_one() -> None:
    assert arguments("b-c: include $FILE1 $ARG1", "[1]*.bin", args=("*.x",)) == ("[[]1][*].bin", "*.x")
    assert arguments("b-c: unzip $FILE1", "[1]*.bin") == ("[1]*.bin",)


def test_names_of_the_packages_files_are_no_globs() -> None:
    assert arguments("a-c: cp * [x]/") == ("[*]", "[x]/")


@pytest.mark.parametrize("wrong", ["$FILE2", "$FILE", "$FILE0", "$FILE01", "$FILE1x", "$ARG1", "$HOME", "$", "a$"])
def test_an_unknown_variable(wrong: str) -> None:
    with pytest.raises(PackageError, match=r"there is no such variable here; allowed: \$FILE1, and \\\$ for a dollar"):
        arguments(f"b-c: include {wrong}", "f")


@pytest.mark.parametrize(
    "step",
    ["include /etc/passwd", "include ../x", "exclude x/../../y", "cp x /etc/", "cp x ../", "cp x a/..", "unzip ../x",
     "unsign x ../y", "unsign x ./", "include .", "cp x $ARG1", "include $ARG1", "7z a\x7fb"],
)  # fmt: skip
def test_no_path_leaves_its_folder(step: str) -> None:
    with pytest.raises(PackageError, match="is not allowed; allowed: "):
        arguments(f"b-c: {step}", args=("../../x",))


@pytest.mark.parametrize(("target", "path"), [(".", "/"), ("./", "/"), ("x//y/", "x/y/"), ("./x", "x")])
def test_targets_are_simplified(target: str, path: str) -> None:
    assert arguments(f"b-c: cp x {target}") == ("x", path)
