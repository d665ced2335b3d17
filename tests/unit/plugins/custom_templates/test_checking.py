"""What is wrong with custom templates is found before a phone needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provd.plugins.custom_templates.checking import check_custom_templates
from provd.plugins.loader import LoadedPlugin, load_plugin

from ..sample import ENTRY, write, write_plugin

SHIPPED_BASE = "{% set own = 1 %}mac={{ XX_mac }} {% block lines %}{{ sip_lines }}{% endblock %} {{ XX_old }}\n"

Told = list[tuple[str, int | None, str, str]]


@pytest.fixture
def plugin(tmp_path: Path) -> LoadedPlugin:
    files = {"templates/base.tpl": SHIPPED_BASE, "templates/S100.tpl": "{% extends 'base.tpl' %}"}
    return load_plugin(write_plugin(tmp_path, files=files))


def check(plugin: LoadedPlugin, known: tuple[str, ...] = (), **templates: str) -> Told:
    """What is said of custom templates; `_` stands for what no argument's name may have."""
    for name, text in templates.items():
        write(plugin.folder / "var/templates" / f"{name.replace('_', '/')}.tpl", text)
    return told(plugin, known)


def told(plugin: LoadedPlugin, known: tuple[str, ...] = (), texts: dict[str, str] | None = None) -> Told:
    findings = check_custom_templates(plugin, known_names=known, texts=texts)
    return [(each.path.removeprefix("var/templates/"), each.line, each.severity, each.message) for each in findings]


def test_good_templates_are_not_mentioned(plugin: LoadedPlugin) -> None:
    good = {
        "base": SHIPPED_BASE + "{{ own }} {% for x in range(3) %}{{ loop.index }}{{ x }}{% endfor %}{{ ip }}",
        "S100": "{% extends 'base.tpl' %}{% block lines %}{{ super() }}{{ self.lines }}{% endblock %}",
        "00085D000001.cfg": "{% macro m(a) %}{{ a }}{{ caller }}{% endmacro %}{{ m(1) }}{% include 'part.tpl' %}",
        "part": "{{ own }}{{ XX_old }}{{ funckeys }}{{ sccp_call_managers }}{{ namespace(x=1).x }}",
        "S200": "{% include 'none.tpl' ignore missing %}{% include ['none.tpl', 'part.tpl'] %}{% include ip + 'x' "
        "ignore missing %}",
    }
    assert check(plugin, **good) == []


def test_a_syntax_error_is_told_once_with_its_line(plugin: LoadedPlugin) -> None:
    ((path, line, severity, message),) = check(plugin, base="one\ntwo {{ broken\nthree")
    assert (path, line, severity) == ("base.tpl", 3, "error")
    assert "expected token" in message


def test_an_unknown_filter_is_a_syntax_error(plugin: LoadedPlugin) -> None:
    assert check(plugin, S200="\n{{ ip | nothing }}") == [("S200.tpl", 2, "error", "No filter named 'nothing'.")]


def test_a_template_that_extends_itself_is_told(plugin: LoadedPlugin) -> None:
    ((path, line, severity, message),) = check(plugin, base="{% extends 'base.tpl' %}")
    assert (path, line, severity) == ("base.tpl", 1, "error")
    assert message.startswith("base.tpl extends itself")


def test_a_name_that_nothing_gives_is_told_with_advice(plugin: LoadedPlugin) -> None:
    found = check(plugin, S200="{{ ip }}\n{% if sip_proxy_ipp %}x{% endif %}{{ sip_proxy_ipp }}{{ qqq }}")
    gives = "no raw config and no plugin gives it, so it prints as nothing"
    assert found == [
        ("S200.tpl", 2, "warning", f"qqq: {gives}"),
        ("S200.tpl", 2, "warning", f"sip_proxy_ipp: {gives}; did you mean sip_proxy_ip?"),
    ]


def test_a_key_of_the_administrators_own_configs_is_known(plugin: LoadedPlugin) -> None:
    text = "{{ X_site_floor }}"
    assert [message.partition(":")[0] for *_, message in check(plugin, S200=text)] == ["X_site_floor"]
    assert check(plugin, ("X_site_floor",), S200=text) == []


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("\n{% include 'none.tpl' %}", "include none.tpl"),
        ("\n{% extends 'none.tpl' %}", "extends none.tpl"),
        ("\n{% import 'none.tpl' as x %}{{ x }}", "import none.tpl"),
        ("\n{% from 'none.tpl' import x %}{{ x }}", "from … import none.tpl"),
        ("\n{% include ['none.tpl', 'nothing.tpl'] %}", "include none.tpl or nothing.tpl"),
    ],
)
def test_a_template_that_is_not_there_is_told_where_it_is_needed(
    plugin: LoadedPlugin, text: str, statement: str
) -> None:
    found = check(plugin, S200=f"{{% if ip == 'x' %}}{text}{{% endif %}}")
    missing = f"{statement}: there is no such template in var/templates and templates"
    assert ("S200.tpl", 2, "error", missing) in found


def test_a_block_that_overrides_nothing_is_told(plugin: LoadedPlugin) -> None:
    text = "{% extends 'S100.tpl' %}\n{% block lines %}{% block inner %}x{% endblock %}{% endblock %}\n"
    message = "block line: S100.tpl has no such block, so this one is never shown"
    assert check(plugin, S200=text + "{% block line %}x{% endblock %}") == [("S200.tpl", 3, "warning", message)]


def test_a_template_that_is_never_used_is_told(plugin: LoadedPlugin) -> None:
    message = "it is never used: letter case counts: the name that is looked for is S100.tpl"
    assert check(plugin, S100="x", s100="x") == [("s100.tpl", None, "warning", message)]


def test_what_fails_when_it_is_rendered_is_told(plugin: LoadedPlugin) -> None:
    found = check(plugin, base="one\n{{ sip_lines['99'].username.upper() }}")
    assert [entry[:3] for entry in found] == [("base.tpl", 2, "error")]
    assert "UndefinedError" in found[0][3]


def test_what_fails_for_a_phone_with_little_is_a_warning(plugin: LoadedPlugin) -> None:
    ((path, line, severity, message),) = check(plugin, S200="one\n{{ sip_lines['2'].username.upper() }}")
    assert (path, line, severity) == ("S200.tpl", 2, "warning")
    assert message.startswith("for a phone with one line and nothing else: UndefinedError: ")


@pytest.mark.parametrize("name", ["00085D000001.cfg", "S100", "base", "X300"])
def test_templates_of_each_kind_are_tried(plugin: LoadedPlugin, name: str) -> None:
    assert [entry[:3] for entry in check(plugin, **{name: "\n\n{{ 1 // 0 }}"})] == [(f"{name}.tpl", 3, "error")]


def test_common_templates_are_tried(tmp_path: Path) -> None:
    entry = ENTRY.replace("content=f\"server={raw_config['ip']}\"", "")
    plugin = load_plugin(write_plugin(tmp_path, entry=entry, files={"templates/common/common.cfg.tpl": "x"}))
    assert [entry[:3] for entry in check(plugin, **{"common_common.cfg": "\n{{ 1 // 0 }}"})] == [
        ("common/common.cfg.tpl", 2, "error")
    ]


def test_a_failure_in_an_included_template_is_told_at_its_place(plugin: LoadedPlugin) -> None:
    found = check(plugin, S200="{% include 'own/part.tpl' %}", own_part="\n\n{{ ip + 1 }}")
    assert [entry[:3] for entry in found] == [("own/part.tpl", 3, "error")]


def test_a_template_that_goes_on_for_ever_is_ended(plugin: LoadedPlugin) -> None:
    found = check(plugin, S200="{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")
    assert any("without end" in message and severity == "error" for _, _, severity, message in found)


def test_one_that_cannot_be_read_is_told(plugin: LoadedPlugin) -> None:
    write(plugin.folder / "var/templates/S100.tpl", "").write_bytes(b"\xff")
    ((path, line, severity, message), *_) = told(plugin)
    assert (path, line, severity) == ("S100.tpl", None, "error")
    assert message.startswith("cannot be read: ")


def test_texts_that_are_not_there_yet_are_checked_as_if_they_were(plugin: LoadedPlugin) -> None:
    write(plugin.folder / "var/templates/S200.tpl", "{{ bad")
    before = sorted(plugin.folder.rglob("*"))
    assert told(plugin, texts={"S200.tpl": "{% include 'new.tpl' %}", "new.tpl": "fine"}) == []
    assert told(plugin, texts={"S200.tpl": "{{ 1 // 0 }}"})[0][:3] == ("S200.tpl", 1, "error")
    assert sorted(plugin.folder.rglob("*")) == before


def test_a_plugin_whose_code_fails_does_not_keep_the_rest_from_being_told(tmp_path: Path) -> None:
    entry = ENTRY.replace("        if not device.get(", "        raise SystemExit\n        if not device.get(")
    plugin = load_plugin(write_plugin(tmp_path, entry=entry))
    found = check(plugin, base="{{ bad")
    assert ("base.tpl", 1, "error") in [entry[:3] for entry in found]
    assert ("entry.py", None, "warning", "the plugin cannot be tried: SystemExit: ") in found
