"""From declared files to bytes: which paths are refused, and how texts are encoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from provd.errors import PluginError, TemplateError
from provd.plugins import rendering
from provd.plugins.api import File
from provd.plugins.rendering import RenderedFile, check_file_path, render_common_files, render_device_files
from provd.plugins.templates import TemplateSet

from .sample import write


@pytest.fixture
def templates(tmp_path: Path) -> TemplateSet:
    write(tmp_path / "templates/base.tpl", "{{ name }} {{ XX_mac }}")
    return TemplateSet(tmp_path)


def render(templates: TemplateSet, *files: File, **raw_config: object) -> list[RenderedFile]:
    return render_device_files(files, templates, "S100", raw_config)


@pytest.mark.parametrize(
    "path", ["a", "a.cfg", "Sample/a.cfg", "a/b/c/d", "a b", "ünï", "a..b", "…", "x" * 255, "-rf", "a\\b"]
)
def test_paths_below_the_folder_are_accepted(path: str) -> None:
    assert check_file_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        "x" * 256,
        "é" * 128,
    ],
)
def test_paths_that_are_no_file_below_the_folder_are_refused(templates: TemplateSet, path: str) -> None:
    with pytest.raises(PluginError, match="impossible path"):
        render(templates, File(path, content="x"))
    with pytest.raises(PluginError, match="impossible path"):
        render_common_files([File(path, content="x")], templates, {})


def test_a_file_keeps_what_the_plugin_says_of_it(templates: TemplateSet) -> None:
    files = render(templates, File("a", content="1", sensitive=True), File("b", content="2", proves_sync=True))
    assert files == [RenderedFile("a", b"1", True, False), RenderedFile("b", b"2", False, True)]


def test_a_files_own_values_stand_beside_the_raw_configs_and_win(templates: TemplateSet) -> None:
    declared = [File("a", context={"XX_mac": "M1"}), File("b", context={"XX_mac": "M2", "name": "own"})]
    files = render(templates, *declared, name="raw", XX_mac="raw")
    assert [file.content for file in files] == [b"raw M1", b"own M2"]


def test_content_that_is_given_is_no_template(templates: TemplateSet) -> None:
    assert render(templates, File("a", content="{{ name }}"), name="x")[0].content == b"{{ name }}"
    assert render(templates, File("a", content=""), name="x")[0].content == b""


def test_content_that_is_given_is_bounded_as_templates_are(
    templates: TemplateSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "MAX_RENDERED_CHARACTERS", 100)
    assert len(render(templates, File("a", content="x" * 100))[0].content) == 100
    with pytest.raises(PluginError, match=r"^Sample/a: has more than 100 characters$"):
        render(templates, File("Sample/a", content="x" * 101))


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("utf-8", "Büro\n".encode()), ("iso-8859-1", b"B\xfcro\n"), ("utf-16-le", "Büro\n".encode("utf-16-le"))],
)
def test_texts_are_written_in_the_declared_encoding(templates: TemplateSet, encoding: str, content: bytes) -> None:
    assert render(templates, File("a", content="Büro\n", encoding=encoding))[0].content == content


def test_a_character_that_the_encoding_lacks_is_named_with_the_file(templates: TemplateSet) -> None:
    with pytest.raises(TemplateError, match=r"^Sample/a\.cfg: '☎' cannot be written in iso-8859-1$"):
        render(templates, File("Sample/a.cfg", content="a ☎", encoding="iso-8859-1"))


def test_line_ends_are_kept(templates: TemplateSet) -> None:
    assert render(templates, File("a", content="a\r\nb\n"))[0].content == b"a\r\nb\n"


def test_an_encoding_that_does_not_exist_is_a_plugin_error(templates: TemplateSet) -> None:
    with pytest.raises(PluginError, match="utf-99"):
        render(templates, File("a", content="x", encoding="utf-99"))


def test_a_name_that_is_never_served_is_refused(templates: TemplateSet) -> None:
    with pytest.raises(PluginError, match="impossible path"):
        render(templates, File("Sample/.hidden", content="x"))
