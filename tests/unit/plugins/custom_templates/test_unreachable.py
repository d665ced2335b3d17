"""Custom templates under names that nobody looks for are told from those that are used."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from provd.plugins.custom_templates.unreachable import unreachable_templates
from provd.plugins.loader import load_plugin
from provd.plugins.models import Model

from ..sample import ENTRY, write, write_plugin

BELOW = "templates of phones and models are looked for in var/templates itself, not in a folder below it"
MODELS = {"S100": Model("S100", ("S100", "100i"), lines=2), "S200": Model("S200", ("S200",), lines=2)}


def files_of(mac: str) -> Iterable[str]:
    return [f"{mac.upper()}.cfg", f"{mac.upper()}.key"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin's folder with some shipped templates."""
    for name in ("base.tpl", "S100.tpl", "part.tpl", "common/all.cfg.tpl"):
        write(tmp_path / "templates" / name, "shipped")
    return tmp_path


def unreachable(folder: Path, *names: str) -> dict[str, str]:
    for name in names:
        write(folder / "var/templates" / name, "custom")
    return unreachable_templates(folder, MODELS, files_of)


@pytest.mark.parametrize(
    "name",
    [
        *("base.tpl", "S100.tpl", "part.tpl", "common/all.cfg.tpl", "S200.tpl"),
        *("00085D00000B.cfg.tpl", "00085D00000B.key.tpl", "000850000001.cfg.tpl"),
        *("X300.tpl", "00085D00000B.xml.tpl", "a name of my own.tpl", "common/own.cfg.tpl"),
        *("base.tpl~", ".base.tpl.swp", "notes.txt", "Sample/notes.txt"),
    ],
)
def test_what_may_be_used_is_not_named(folder: Path, name: str) -> None:
    assert unreachable(folder, name) == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Base.tpl", "letter case counts: the name that is looked for is base.tpl"),
        ("base.TPL", "letter case counts: the name that is looked for is base.tpl"),
        ("s100.tpl", "letter case counts: the name that is looked for is S100.tpl"),
        ("s200.tpl", "letter case counts: the name that is looked for is S200.tpl"),
        ("Common/all.cfg.tpl", "letter case counts: the name that is looked for is common/all.cfg.tpl"),
        ("00085d00000b.cfg.tpl", "letter case counts: the name that is looked for is 00085D00000B.cfg.tpl"),
        ("00085D00000B.CFG.tpl", "letter case counts: the name that is looked for is 00085D00000B.cfg.tpl"),
        ("100i.tpl", "the model of such phones is S100, so the name that is looked for is S100.tpl"),
        ("100I.tpl", "the model of such phones is S100, so the name that is looked for is S100.tpl"),
        ("Sample/base.tpl", BELOW),
        ("Sample/a/b.tpl", BELOW),
    ],
)
def test_what_is_never_used_is_named_with_the_reason(folder: Path, name: str, reason: str) -> None:
    assert unreachable(folder, "S100.tpl", name) == {name: reason}


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("place", ["templates", "var/templates"])
def test_what_another_template_includes_is_used(folder: Path, quote: str, place: str) -> None:
    write(folder / place / "S200.tpl", f"{{% include {quote}parts/Base.tpl{quote} %}}")
    assert unreachable(folder, "parts/Base.tpl") == {}
    assert set(unreachable(folder, "parts/base.tpl")) == {"parts/base.tpl"}


def test_a_plugin_without_templates_of_anybody_has_none_to_name(tmp_path: Path) -> None:
    assert unreachable_templates(tmp_path, MODELS, files_of) == {}


# --- at load


def test_each_is_logged_when_the_plugin_is_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    custom = {f"var/templates/{name}": "x" for name in ("base.tpl", "00085d00000b.cfg.tpl", "s100.tpl")}
    load_plugin(write_plugin(tmp_path, files=custom))
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [
        "custom template is never used: plugin=xivo-sample-1.0 template='00085d00000b.cfg.tpl' "
        "reason='letter case counts: the name that is looked for is 00085D00000B.cfg.tpl'",
        "custom template is never used: plugin=xivo-sample-1.0 template='s100.tpl' "
        "reason='letter case counts: the name that is looked for is S100.tpl'",
    ]


@pytest.mark.parametrize("failure", ["1 / 0", "raise SystemExit", "return None", "return [7]"])
def test_a_plugin_that_cannot_name_files_is_loaded_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    entry = ENTRY.replace('        if not device.get("mac"):\n', f"        {failure}\n        if not device:\n")
    entry = entry.replace("        yield File", "        return File")
    load_plugin(write_plugin(tmp_path, entry=entry, files={"var/templates/00085d00000b.cfg.tpl": "x"}))
    assert not caplog.records
