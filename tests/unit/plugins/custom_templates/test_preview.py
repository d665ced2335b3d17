"""A device's files as they would be, beside what is served, and without the passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provd.errors import PluginError
from provd.model.raw_config import prepare_raw_config
from provd.plugins.custom_templates.findings import Finding, Severity
from provd.plugins.custom_templates.masking import MASK, Mask, masked_raw_config
from provd.plugins.custom_templates.preview import FilePreview, State, preview_device
from provd.plugins.loader import LoadedPlugin, load_plugin

from ..sample import ENTRY, write, write_plugin

OWN = "Sample/00085D000001.cfg"
DEVICE = {"id": "d", "mac": "00:08:5d:00:00:01", "model": "S100", "vendor": "Sample"}
KEY = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"
TEMPLATE = (
    "ip={{ ip }}\n{% for n, line in sip_lines.items() %}user{{ n }}={{ line.username }}\n"
    "pw{{ n }}={{ line.password }};\n{% endfor %}admin={{ admin_password }}\n{{ sip_local_key }}"
)


@pytest.fixture
def plugin(tmp_path: Path) -> LoadedPlugin:
    return load_plugin(write_plugin(tmp_path, files={"templates/base.tpl": TEMPLATE}))


def raw(**more: Any) -> dict[str, Any]:
    line = {"username": "u1", "password": "s3cr3t", "display_name": "One", "proxy_ip": "192.0.2.10"}
    given = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69, "sip_lines": {"1": line}, "admin_password": "1"}
    return prepare_raw_config({**given, "sip_local_key": KEY, **more})


def serve(plugin: LoadedPlugin, text: str, path: str = OWN) -> None:
    write(plugin.folder / "var/tftpboot" / path, text)


def preview(plugin: LoadedPlugin, **options: Any) -> FilePreview:
    (found,) = preview_device(plugin, DEVICE, options.pop("raw_config", None) or raw(), **options)
    return found


def test_a_file_that_is_not_there_yet_is_new(plugin: LoadedPlugin) -> None:
    found = preview(plugin, show_secrets=True)
    assert (found.path, found.state, found.template, found.error) == (OWN, State.NEW, "templates/base.tpl", None)
    assert found.text is not None
    assert found.text.startswith("ip=192.0.2.10\nuser1=u1\npw1=s3cr3t;\nadmin=1\n-----BEGIN")
    assert found.diff.startswith(f"--- /dev/null\n+++ {OWN}\n@@ -0,0 +1,7 @@\n+ip=192.0.2.10\n")
    assert not (plugin.folder / "var").exists(), "nothing is written"


def test_a_file_that_is_served_as_it_would_be_is_the_same(plugin: LoadedPlugin) -> None:
    serve(plugin, preview(plugin, show_secrets=True).text or "")
    found = preview(plugin)
    assert (found.state, found.diff) == (State.SAME, "")


def test_the_difference_to_what_is_served_is_told(plugin: LoadedPlugin) -> None:
    serve(plugin, (preview(plugin, show_secrets=True).text or "").replace("u1", "u0"))
    found = preview(plugin)
    assert found.state is State.CHANGED
    assert "-user1=u0\n+user1=u1\n" in found.diff


def test_an_uploaded_text_stands_in_for_a_template(plugin: LoadedPlugin) -> None:
    write(plugin.folder / "var/templates/base.tpl", "custom")
    found = preview(plugin, texts={"S100.tpl": "{% include 'part.tpl' %}", "part.tpl": "uploaded {{ ip }}"})
    assert (found.template, found.text) == ("var/templates/S100.tpl", "uploaded 192.0.2.10")
    assert preview(plugin).text == "custom"


def test_an_error_names_file_line_and_variable(plugin: LoadedPlugin) -> None:
    serve(plugin, "the last good file")
    found = preview(plugin, texts={"S100.tpl": "one\n{{ no_such_name.x }}"})
    assert (found.state, found.text, found.diff) == (State.FAILED, None, "")
    message = "UndefinedError: 'no_such_name' is undefined"
    assert found.error == Finding("var/templates/S100.tpl", 2, Severity.ERROR, message)
    syntax = preview(plugin, texts={"S100.tpl": "one\n\n{{ broken"}).error
    assert syntax is not None
    assert (syntax.path, syntax.line) == ("var/templates/S100.tpl", 3)


def test_one_file_that_fails_does_not_hide_the_others(tmp_path: Path) -> None:
    entry = ENTRY.partition("    def is_sensitive")[0].rstrip()
    entry += '\n        yield File(f"Sample/{name}.key", content="text of the plugin\\n")\n'
    plugin = load_plugin(write_plugin(tmp_path, entry=entry, files={"templates/base.tpl": "{{ 1 // 0 }}"}))
    first, second = preview_device(plugin, DEVICE, raw())
    assert first.state is State.FAILED
    assert (second.state, second.template, second.text) == (State.NEW, None, "text of the plugin\n")


def test_files_that_the_device_would_no_longer_have_are_told(plugin: LoadedPlugin) -> None:
    serve(plugin, f"user=u1\npassword=old\n{KEY}", "Sample/old.cfg")
    _, gone = preview_device(plugin, DEVICE, raw(), served=[OWN, "Sample/old.cfg"])
    assert (gone.path, gone.state, gone.text) == ("Sample/old.cfg", State.REMOVED, None)
    assert gone.diff.startswith("--- served/Sample/old.cfg\n+++ /dev/null\n@@ -1,5 +0,0 @@\n-user=")
    assert "old\n" not in gone.diff
    assert "bm90" not in gone.diff


def test_a_plugin_that_refuses_the_device_says_why(plugin: LoadedPlugin) -> None:
    with pytest.raises(PluginError, match="the MAC address is not known"):
        preview_device(plugin, {"id": "d"}, raw())


def test_a_plugin_whose_code_fails_is_a_plugin_error(tmp_path: Path) -> None:
    entry = ENTRY.replace("        if not device.get(", "        raise SystemExit\n        if not device.get(")
    plugin = load_plugin(write_plugin(tmp_path, entry=entry))
    with pytest.raises(PluginError, match="the plugin's code fails: SystemExit"):
        preview_device(plugin, DEVICE, raw())


# --- secrets


def test_passwords_and_keys_are_masked(plugin: LoadedPlugin) -> None:
    assert preview(plugin).text == (
        f"ip=192.0.2.10\nuser1=u1\npw1={MASK};\nadmin={MASK}\n"
        f"-----BEGIN PRIVATE KEY-----\n{MASK}\n-----END PRIVATE KEY-----\n"
    )


def test_a_changed_password_is_seen_to_change_but_not_shown(plugin: LoadedPlugin) -> None:
    serve(plugin, (preview(plugin, show_secrets=True).text or "").replace("s3cr3t", "former"))
    diff = preview(plugin).diff
    assert f"-pw1={MASK}\n" in diff
    assert f"+pw1={MASK};\n" in diff
    assert "former" not in diff
    assert "-pw1=former;\n+pw1=s3cr3t;\n" in preview(plugin, show_secrets=True).diff


def test_what_looks_like_a_secret_in_a_former_file_is_masked(plugin: LoadedPlugin) -> None:
    key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
    former = "user2=u2\nsip line2 password: former\n<user_pwd>former</user_pwd>\n"
    serve(plugin, f"{former}{key}\nother: s3cr3t!\nshort: 1\n")
    removed = [line for line in preview(plugin).diff.split("\n") if line.startswith("-")][1:]
    assert removed == [
        "-user2=u2",
        f"-sip line2 password: {MASK}",
        f"-<user_pwd>{MASK}",
        f"-{MASK}",
        f"-other: {MASK}!",
        "-short: 1",
    ]


def test_an_error_does_not_show_a_password(plugin: LoadedPlugin) -> None:
    texts = {"S100.tpl": "{{ funckeys[sip_lines['1'].password].x }}"}
    error, shown = preview(plugin, texts=texts).error, preview(plugin, texts=texts, show_secrets=True).error
    assert error is not None
    assert shown is not None
    assert MASK in error.message
    assert shown.message == error.message.replace(MASK, "s3cr3t")


def test_a_plugin_that_refuses_masked_values_has_each_line_cut(tmp_path: Path) -> None:
    refusal = f'        assert raw_config["admin_password"] != "{MASK}"\n'
    entry = ENTRY.replace("        if not device.get(", f"{refusal}        if not device.get(")
    plugin = load_plugin(write_plugin(tmp_path, entry=entry, files={"templates/base.tpl": TEMPLATE}))
    assert (preview(plugin).text or "").startswith(f"ip={MASK}\nuser1={MASK}\npw1={MASK}\n")


def test_a_template_that_makes_other_lines_of_a_masked_value_has_each_line_cut(plugin: LoadedPlugin) -> None:
    texts = {"S100.tpl": "a: b\n{% if admin_password == '1' %}x: {{ admin_password }}\n{% endif %}"}
    assert preview(plugin, texts=texts).text == f"a: {MASK}\nx: {MASK}\n"


def test_secrets_of_the_administrators_own_are_masked_too() -> None:
    given = {"X_site": {"ldap_password": "p", "user": "u"}, "X_secrets": ["a", {"b": "c"}], "X_api_key": 5, "n": None}
    masked = masked_raw_config(given)
    assert masked == {
        "X_site": {"ldap_password": MASK, "user": "u"}, "X_secrets": [MASK, {"b": MASK}], "X_api_key": MASK, "n": None
    }  # fmt: skip
    assert given["X_api_key"] == 5


def test_without_secrets_nothing_is_masked() -> None:
    text = "a: b\n\nc\n"
    assert Mask(text, text, {}).text(text) == text
