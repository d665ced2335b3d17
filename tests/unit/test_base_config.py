"""The base raw config: the administrator's file, and the server's own address under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provd.base_config import base_raw_config
from provd.errors import SettingsError
from provd.model.config import flatten
from provd.model.raw_config import prepare_raw_config
from provd.netinfo import server_address
from provd.settings import Settings
from provd.store.collection import encode_document


def base(file: Path | None = None, *, external_ip: str = "", bind: str = "") -> dict[str, Any]:
    values = {"general.base_raw_config_file": file, "general.external_ip": external_ip, "general.bind": bind}
    return base_raw_config(Settings(values), 8667, 69)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "base.json"


def error_of(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        base(file)
    return str(caught.value)


def test_phones_are_told_the_address_and_the_ports() -> None:
    assert base(external_ip="192.0.2.10") == {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}


def test_the_external_address_comes_before_the_bound_one_and_that_before_the_machines() -> None:
    assert base(external_ip="192.0.2.10", bind="192.0.2.11")["ip"] == "192.0.2.10"
    assert base(bind="192.0.2.11")["ip"] == "192.0.2.11"
    assert base()["ip"] == server_address()


def flattened(own: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """What phones get that use a config with these values of its own."""
    config = {"parent_ids": [], "raw_config": own}
    raw = flatten("site", {"site": config}.get, base(**settings))
    assert raw is not None
    return prepare_raw_config(raw)


def test_phones_get_a_url_of_the_address_and_port() -> None:
    assert flattened({}, external_ip="192.0.2.10")["http_base_url"] == "http://192.0.2.10:8667"
    assert flattened({}, external_ip="2001:db8::1")["http_base_url"] == "http://[2001:db8::1]:8667"


def test_a_configs_own_address_and_port_reach_its_phones() -> None:
    raw = flattened({"ip": "203.0.113.5", "http_port": "80"}, external_ip="192.0.2.10")
    assert (raw["ip"], raw["http_port"], raw["http_base_url"]) == ("203.0.113.5", 80, "http://203.0.113.5:80")


def test_a_url_in_the_file_comes_before_a_configs_own_address(file: Path) -> None:
    file.write_text('{"http_base_url": "https://pbx.example"}')
    assert flattened({"ip": "203.0.113.5"}, file=file)["http_base_url"] == "https://pbx.example"


def test_the_result_is_what_every_config_needs() -> None:
    assert prepare_raw_config(base(external_ip="pbx.example"))["sip_lines"] == {}


def test_the_file_comes_before_what_the_server_knows_of_itself(file: Path) -> None:
    file.write_text('{"ip": "192.0.2.99", "http_port": "80", "timezone": "Europe/Paris", "X_own": {"k": [1]}}')
    assert base(file, external_ip="192.0.2.10") == {
        "ip": "192.0.2.99", "http_port": 80, "tftp_port": 69, "timezone": "Europe/Paris", "X_own": {"k": [1]},
    }  # fmt: skip


def test_a_null_in_the_file_is_no_value(file: Path) -> None:
    file.write_text('{"ip": null, "timezone": null}')
    assert base(file, external_ip="192.0.2.10")["ip"] == "192.0.2.10"
    assert "timezone" not in base(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[]", "an object is needed"),
        (b'{"x": "\xff"}', "can't decode byte"),
        (b'{"http_port": 70000}', "http_port: 70000 is not allowed; allowed: a whole number from 1 to 65535"),
        (b'{"timezone": "Mars/Phobos"}', "timezone: 'Mars/Phobos' is not allowed"),
        (b'{"X_own": "a\\nb"}', "X_own: 'a\\nb' is not allowed"),
        (b'{"X_own": "\\ud800"}', "X_own: "),
        (b'{"sip_lines": []}', "sip_lines: [] is not allowed"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    assert error_of(file).startswith(f"general.base_raw_config_file: {file}: ")
    assert message in error_of(file)


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    setting = "general.base_raw_config_file"
    assert error_of(tmp_path / "gone.json") == f"{setting}: {tmp_path}/gone.json: No such file or directory"
    assert error_of(tmp_path) == f"{setting}: {tmp_path}: Is a directory"


def test_a_secret_is_not_shown(file: Path) -> None:
    file.write_text('{"admin_password": ["s3cr3t"]}')
    assert "s3cr3t" not in error_of(file)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"X_own": NaN}', id="no number"),
        pytest.param('{"X_own": 1e999}', id="infinity"),
        pytest.param('{"\\ud800": 1}', id="a name that UTF-8 cannot encode"),
        pytest.param('{"X_own": ' + "[" * 100_000, id="nested too deep"),
    ],
)
def test_what_cannot_be_stored_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    try:
        encode_document({"value": base(file)}).encode()
    except SettingsError as error:
        assert str(error).startswith(f"general.base_raw_config_file: {file}: ")  # noqa: PT017
    except (ValueError, RecursionError) as error:
        pytest.fail(f"the server would have ended with {type(error).__name__}")
    else:
        pytest.fail("a value was accepted that nobody can mean")
