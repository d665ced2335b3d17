"""A template that fails says in which file and line; what it may do is bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

from provd.errors import TemplateError
from provd.plugins.templates import TemplateSet

from .sample import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty plugin's folder."""
    return tmp_path


def render(folder: Path, source: str, context: dict[str, Any] | None = None, **options: Any) -> str:
    """What a custom base template gives."""
    write(folder / "var/templates/base.tpl", source)
    return TemplateSet(folder, **options).render(["base.tpl"], context or {})


def error_of(folder: Path, source: str, context: dict[str, Any] | None = None) -> str:
    with pytest.raises(TemplateError) as caught:
        render(folder, source, context)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("one\ntwo {{ three", "var/templates/base.tpl, line 2: unexpected end of template"),
        ("{% if x %}\nno end", "var/templates/base.tpl, line 1: Unexpected end of template"),
        ("a\n\n{{ x | nofilter }}", "var/templates/base.tpl, line 3: No filter named 'nofilter'."),
        ("a\n{{ 1 / 0 }}", "var/templates/base.tpl, line 2: ZeroDivisionError: division by zero"),
        ("a\nb\n{{ nobody.name }}", "var/templates/base.tpl, line 3: UndefinedError: 'nobody' is undefined"),
        ("{{ 'x' + 1 }}", "var/templates/base.tpl, line 1: TypeError: "),
        ("{% for a in 7 %}{% endfor %}", "var/templates/base.tpl, line 1: TypeError: "),
        ("\n{% include 'nobody.tpl' %}", "var/templates/base.tpl, line 2: TemplateNotFound: nobody.tpl"),
        ("\n{% extends '../../secret' %}", "var/templates/base.tpl, line 2: TemplateNotFound: ../../secret"),
    ],
)
def test_an_error_names_the_file_and_the_line(folder: Path, source: str, message: str) -> None:
    assert error_of(folder, source).startswith(message)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("one\n{{ 1 / 0 }}", "templates/part.tpl, line 2: ZeroDivisionError: division by zero"),
        ("one\ntwo\n{{ three", "templates/part.tpl, line 3: unexpected end of template"),
    ],
)
@pytest.mark.parametrize(
    "statement", ["{% include 'part.tpl' %}", "{% extends 'part.tpl' %}", "{% import 'part.tpl' as p %}"]
)
def test_an_error_in_another_template_names_that_one(folder: Path, statement: str, part: str, message: str) -> None:
    write(folder / "templates/part.tpl", part)
    assert error_of(folder, "\n\n" + statement).startswith(message)


def test_an_include_of_which_no_name_exists_names_its_own_file_and_line(folder: Path) -> None:
    assert error_of(folder, "\n{% include ['a.tpl', 'b.tpl'] %}").startswith("var/templates/base.tpl, line 2: ")


def test_a_template_that_is_not_utf8_is_named(folder: Path) -> None:
    write(folder / "var/templates/base.tpl", "").write_bytes("Téléphone".encode("latin-1"))
    with pytest.raises(TemplateError, match=r"var/templates/base\.tpl"):
        TemplateSet(folder).render(["base.tpl"], {})


@pytest.mark.parametrize(
    "source",
    ["{% include 'base.tpl' %}", "{% extends 'part.tpl' %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
)
def test_templates_that_go_round_in_circles_are_an_error_that_says_so(folder: Path, source: str) -> None:
    write(folder / "templates/part.tpl", "{% extends 'base.tpl' %}")
    message = error_of(folder, source)
    assert message.endswith("RecursionError: templates or macros include, extend or call one another without end")
    assert message.startswith(("var/templates/base.tpl, line 1: ", "templates/part.tpl, line 1: "))


def test_a_template_that_extends_the_one_that_it_hides_is_told_so(folder: Path) -> None:
    write(folder / "templates/base.tpl", "shipped {% block own %}{% endblock %}")
    message = error_of(folder, "\n{% extends 'base.tpl' %}{% block own %}mine{% endblock %}")
    assert message == (
        "var/templates/base.tpl, line 2: base.tpl extends itself; a custom template takes the place of the shipped one "
        "of its name: copy that one and edit the copy"
    )


def test_a_filter_of_the_plugin_that_fails_is_located(folder: Path) -> None:
    write(folder / "var/templates/base.tpl", "\n{{ 'x' | bad }}")

    def bad(value: str) -> str:
        raise KeyError(value)

    with pytest.raises(TemplateError, match=r"^var/templates/base\.tpl, line 2: KeyError: 'x'"):
        TemplateSet(folder, filters={"bad": bad}).render(["base.tpl"], {})


def test_a_name_that_is_not_there_is_empty(folder: Path) -> None:
    assert render(folder, "[{{ nobody }}]") == "[]"


# --- the sandbox


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__",
        "''.__class__.__mro__[1].__subclasses__()",
        "''|attr('__class__')",
        "''['__class__']",
        "(lambda: 0).__globals__",
        "'{0.__class__}'.format('')",
        "'{a.__class__}'.format_map({'a': ''})",
        "''.format.__self__.__class__",
        "cycler.__init__.__globals__.os",
        "self.__init__.__globals__",
        "self._TemplateReference__context",
        "lines.items.__self__.__class__",
        "lines.iteritems.__func__.__globals__",
        "shortens.__globals__",
        "range(1000000)",
    ],
)
def test_the_sandbox_refuses(folder: Path, expression: str) -> None:
    def shortens(text: str) -> str:
        return text[:1]

    source = "before{{ " + expression + " }}after"
    try:
        text = render(folder, source, {"lines": {"1": "x"}, "shortens": shortens})
    except TemplateError:
        return
    assert text == "beforeafter"


def test_a_template_cannot_read_files(folder: Path) -> None:
    write(folder / "secret.tpl", "secret")
    for name in ("../secret.tpl", "../../secret.tpl", str(folder / "secret.tpl"), "/etc/passwd"):
        assert "TemplateNotFound" in error_of(folder, "{% include '" + name + "' %}")


def test_what_a_template_changes_in_its_values_stays_there(folder: Path) -> None:
    context = {"lines": {"1": {"username": "x"}}, "names": ["a"]}
    render(folder, "{% set _ = lines.clear() %}{% set _ = names.append('b') %}", context)
    assert context == {"lines": {"1": {"username": "x"}}, "names": ["a"]}


# --- what templates written for others expect


def test_the_views_of_python_2_work_at_any_depth(folder: Path) -> None:
    source = (
        "{% for number, line in lines.iteritems() %}{{ number }}={% for key in line.iterkeys() %}{{ key }}{% endfor %}"
        "{% for value in line.itervalues() %}:{{ value }}{% endfor %};{% endfor %}"
        "{% for each in listed %}{{ each.iteritems() | list }}{% endfor %}"
    )
    context = {"lines": {"1": {"user": "a"}, "2": {"user": "b"}}, "listed": ({"k": 1},)}
    assert render(folder, source, context) == "1=user:a;2=user:b;[('k', 1)]"


@pytest.mark.parametrize("source", ["mine {{ x }}\n", "mine {{ x }}", "a\n{% if x %}\nb\n{% endif %}\n\n"])
def test_lines_end_as_jinja2_has_them_end_by_default(folder: Path, source: str) -> None:
    """Custom templates were written for the existing provd, whose environment is Jinja2's default."""
    assert render(folder, source, {"x": "1"}) == jinja2.Environment().from_string(source).render(x="1")


def test_values_are_escaped_for_xml_families_alone(folder: Path) -> None:
    context = {"name": "<Büro & \"Co\"> 'x'"}
    assert render(folder, "{{ name }}", context) == "<Büro & \"Co\"> 'x'"
    escaped = render(folder, "<n>{{ name }}</n>{{ name | safe }}", context, escape_xml=True)
    assert escaped == "<n>&lt;Büro &amp; &#34;Co&#34;&gt; &#39;x&#39;</n><Büro & \"Co\"> 'x'"
