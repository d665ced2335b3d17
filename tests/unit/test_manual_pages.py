"""The manual pages say what the table of options and the command line have, and nothing else."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from provd import __version__
from provd.option_types import Option
from provd.settings import OPTIONS

ROOT = Path(__file__).parents[2]
PAGES = ("xivo-provd.8", "provd.toml.5")


@pytest.fixture(scope="module")
def build() -> Callable[[str], str]:
    page: Callable[[str], str] = runpy.run_path(str(ROOT / "docs" / "man" / "build.py"))["page"]
    return page


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_page_of_the_settings_has_every_option(build: Callable[[str], str], option: Option) -> None:
    table = build("provd.toml.5").partition(f".Ss Table {option.table}\n")[2].partition(".Ss")[0]
    entry = plain(table.partition(f".It Ic {option.key}\n")[2].partition(".It")[0])
    assert entry.startswith(f"{option.doc}\nAllowed: {option.check.allowed}.\nDefault:\n")
    assert ("A reload is enough." in entry) == option.reloadable


def test_the_page_of_the_program_has_every_flag(build: Callable[[str], str]) -> None:
    flags = re.findall(r"^\.It Fl Fl (\S+)", plain(build("xivo-provd.8")), re.M)
    from_table = [str(option.flag).removeprefix("--") for option in OPTIONS if option.flag]
    assert sorted(flags) == sorted([*from_table, "config", "install-plugin", "check", "version", "help"])


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_left_to_fill_in(build: Callable[[str], str], name: str) -> None:
    page = build(name)
    assert not re.search("@[A-Z]+@", page)
    assert __version__ in page


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_well_formed(build: Callable[[str], str], name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(build(name))
    result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", name], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout == ""


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "man").glob("*.[1-9]")), ids=lambda page: page.name)
def test_the_pages_that_are_not_built_are_well_formed(page: Path) -> None:
    result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
    assert result.stdout == ""


def plain(text: str) -> str:
    """Text of a page without the signs that protect it from mdoc."""
    return text.replace(r"\-", "-").replace(r"\&", "").replace(r"\e", "\\")
