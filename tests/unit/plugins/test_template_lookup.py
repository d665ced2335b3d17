"""Which template makes a file, and that a custom one counts from the moment it is put down, changed or removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provd.errors import TemplateError
from provd.plugins.api import File
from provd.plugins.rendering import render_common_files, render_device_files
from provd.plugins.templates import TemplateSet

from .sample import write

OWN = "Sample/00085D000001.cfg"


def render(folder: Path, model: str | None = "S100", path: str = OWN) -> str:
    """The one file of a phone, with the templates of a plugin that has just been asked for the first time."""
    return rendered(TemplateSet(folder), model, path)


def rendered(templates: TemplateSet, model: str | None = "S100", path: str = OWN) -> str:
    return render_device_files([File(path)], templates, model, {"who": "x"})[0].content.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin's folder with a base and a model's template."""
    write(tmp_path / "templates/base.tpl", "shipped base")
    write(tmp_path / "templates/S100.tpl", "shipped S100")
    (tmp_path / "var/templates").mkdir(parents=True)
    return tmp_path


def test_the_models_template_comes_before_the_base(folder: Path) -> None:
    assert render(folder) == "shipped S100"
    assert render(folder, "S200") == "shipped base"
    assert render(folder, None) == "shipped base"


def test_a_models_name_is_taken_as_it_is_written(folder: Path) -> None:
    assert render(folder, "s100") == "shipped base"


def test_a_phones_own_template_comes_before_its_models(folder: Path) -> None:
    write(folder / "var/templates/00085D000001.cfg.tpl", "custom for one phone")
    assert render(folder) == "custom for one phone"
    assert render(folder, path="Sample/00085D000002.cfg") == "shipped S100"


def test_each_name_is_looked_for_in_both_folders_before_the_next_name(folder: Path) -> None:
    write(folder / "var/templates/base.tpl", "custom base")
    assert render(folder) == "shipped S100"
    assert render(folder, "S200") == "custom base"
    write(folder / "templates/00085D000001.cfg.tpl", "shipped for one phone")
    write(folder / "var/templates/S100.tpl", "custom S100")
    assert render(folder) == "shipped for one phone"
    assert render(folder, path="Sample/00085D000002.cfg") == "custom S100"


def test_common_files_have_templates_of_their_own(folder: Path) -> None:
    write(folder / "templates/common/all.cfg.tpl", "shipped for all of {{ who }}")
    templates = TemplateSet(folder)
    files = [File("Sample/all.cfg")]
    assert render_common_files(files, templates, {"who": "x"})[0].content == b"shipped for all of x"
    write(folder / "var/templates/common/all.cfg.tpl", "custom for all of {{ who }}")
    assert render_common_files(files, templates, {"who": "x"})[0].content == b"custom for all of x"


def test_a_missing_template_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        render(tmp_path)
    assert str(caught.value) == (
        "no template found; looked for 00085D000001.cfg.tpl, S100.tpl, base.tpl "
        f"in {tmp_path}/var/templates and {tmp_path}/templates"
    )


@pytest.mark.parametrize(
    "model", ["../secret", "../../secret", "/secret", "a/../../secret", "..", ".", "x" * 300, "a\\..\\b", "{{ 7 }}"]
)
def test_a_hostile_model_name_reaches_no_template_outside(folder: Path, model: str) -> None:
    for place in ("secret.tpl", "var/secret.tpl", "../secret.tpl"):
        write(folder / place, "secret")
    assert render(folder, model) == "shipped base"


def test_a_model_name_that_no_file_can_have_is_a_template_error(folder: Path) -> None:
    with pytest.raises(TemplateError):
        render(folder, "S\0")


# --- freshness: one TemplateSet lives as long as the plugin is loaded


def test_a_custom_template_counts_as_soon_as_it_is_there(folder: Path) -> None:
    templates = TemplateSet(folder)
    assert rendered(templates) == "shipped S100"
    write(folder / "var/templates/S100.tpl", "custom S100")
    assert rendered(templates) == "custom S100"


def test_a_custom_template_that_is_removed_uncovers_the_shipped_one(folder: Path) -> None:
    custom = write(folder / "var/templates/S100.tpl", "custom S100")
    templates = TemplateSet(folder)
    assert rendered(templates) == "custom S100"
    custom.unlink()
    assert rendered(templates) == "shipped S100"


def test_a_template_for_one_phone_that_comes_later_is_noticed(folder: Path) -> None:
    templates = TemplateSet(folder)
    assert rendered(templates) == "shipped S100"
    write(folder / "var/templates/00085D000001.cfg.tpl", "custom for one phone")
    assert rendered(templates) == "custom for one phone"


def test_a_changed_template_is_noticed(folder: Path) -> None:
    custom = write(folder / "var/templates/S100.tpl", "one")
    templates = TemplateSet(folder)
    assert rendered(templates) == "one"
    write(custom, "another")
    assert rendered(templates) == "another"
    before = custom.stat().st_mtime_ns
    write(custom, "of same")
    os.utime(custom, ns=(before + 1, before + 1))
    assert rendered(templates) == "of same"


def test_a_template_that_was_replaced_by_one_of_the_same_size_and_time_is_noticed(folder: Path) -> None:
    custom = write(folder / "var/templates/S100.tpl", "one")
    templates = TemplateSet(folder)
    assert rendered(templates) == "one"
    status = custom.stat()
    new = write(folder / "new", "two")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.rename(custom)
    assert rendered(templates) == "two"


@pytest.mark.parametrize("statement", ["{% include 'part.tpl' %}", "{% extends 'part.tpl' %}"])
def test_a_change_of_an_included_or_extended_template_is_noticed(folder: Path, statement: str) -> None:
    write(folder / "templates/S100.tpl", statement)
    write(folder / "templates/part.tpl", "shipped part")
    templates = TemplateSet(folder)
    assert rendered(templates) == "shipped part"
    custom = write(folder / "var/templates/part.tpl", "custom part")
    assert rendered(templates) == "custom part"
    write(custom, "changed custom part")
    assert rendered(templates) == "changed custom part"
    custom.unlink()
    assert rendered(templates) == "shipped part"


def test_a_custom_template_may_extend_the_shipped_base_and_change_a_block(folder: Path) -> None:
    write(folder / "templates/base.tpl", "head {% block own %}shipped{% endblock %} tail")
    write(folder / "var/templates/S100.tpl", "{% extends 'base.tpl' %}{% block own %}mine, {{ super() }}{% endblock %}")
    assert render(folder) == "head mine, shipped tail"


def test_a_change_of_imported_macros_is_noticed(folder: Path) -> None:
    write(folder / "templates/S100.tpl", "{% import 'macros.tpl' as m %}{{ m.greet() }}")
    macros = write(folder / "templates/macros.tpl", "{% macro greet() %}hello{% endmacro %}")
    templates = TemplateSet(folder)
    assert rendered(templates) == "hello"
    write(macros, "{% macro greet() %}good morning{% endmacro %}")
    assert rendered(templates) == "good morning"


def test_a_change_of_macros_that_macros_import_is_noticed(folder: Path) -> None:
    write(folder / "templates/S100.tpl", "{% import 'outer.tpl' as m %}{{ m.greet() }}")
    outer = "{% from 'inner.tpl' import word %}{% macro greet() %}{{ word() }}{% endmacro %}"
    write(folder / "templates/outer.tpl", outer)
    inner = write(folder / "templates/inner.tpl", "{% macro word() %}hello{% endmacro %}")
    templates = TemplateSet(folder)
    assert rendered(templates) == "hello"
    write(inner, "{% macro word() %}good morning{% endmacro %}")
    assert rendered(templates) == "good morning"


def test_a_template_that_is_repaired_renders_again(folder: Path) -> None:
    templates = TemplateSet(folder)
    custom = write(folder / "var/templates/S100.tpl", "{{ broken")
    with pytest.raises(TemplateError):
        rendered(templates)
    write(custom, "{{ who }} is whole")
    assert rendered(templates) == "x is whole"


def test_a_folder_with_a_templates_name_is_named(folder: Path) -> None:
    (folder / "var/templates/S200.tpl").mkdir()
    with pytest.raises(TemplateError, match=r"var/templates/S200\.tpl"):
        render(folder, "S200")


def test_noticing_changes_reads_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "var/templates/S100.tpl", "{% include 'part.tpl' %}")
    write(folder / "templates/part.tpl", "part")
    for number in range(100):
        write(folder / f"var/templates/00085D0001{number:02}.cfg.tpl", "for another phone")
    templates = TemplateSet(folder)
    rendered(templates)

    def refuse(*_: object) -> None:
        raise AssertionError("a folder is read")

    asked: list[str] = []
    real = os.stat
    for name in ("listdir", "scandir", "walk"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(os, "stat", lambda path, **more: asked.append(str(path)) or real(path, **more))
    assert rendered(templates) == "part"
    monkeypatch.undo()
    below = sorted(path.removeprefix(f"{folder}/") for path in asked if path.startswith(str(folder)))
    assert below == [
        "templates/00085D000001.cfg.tpl",
        "templates/part.tpl",
        "var/templates/00085D000001.cfg.tpl",
        "var/templates/S100.tpl",
        "var/templates/part.tpl",
    ]
