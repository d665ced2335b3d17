"""Where a function key lies on a phone, and which URLs a phone is given."""

from __future__ import annotations

import pytest

from provd.errors import PluginLoadError
from provd.plugins.models import KeyBlock, KeyPosition, Model, parse_models
from provd.plugins.phonebook import phonebook_url, user_service_url

PHONE = Model(
    "S100", ("S100",), 2, keys=(KeyBlock("prgkey", 6), KeyBlock("topsoftkey", 0), KeyBlock("softkey", 10)),
    modules=3, module_keys=36,
)  # fmt: skip


@pytest.mark.parametrize(
    ("number", "position"),
    [
        (1, KeyPosition("prgkey", 1)),
        (6, KeyPosition("prgkey", 6)),
        (7, KeyPosition("softkey", 1)),
        (16, KeyPosition("softkey", 10)),
        (17, KeyPosition("module", 1, 1)),
        (52, KeyPosition("module", 36, 1)),
        (53, KeyPosition("module", 1, 2)),
        (124, KeyPosition("module", 36, 3)),
        (125, None),
        (10**9, None),
        (0, None),
        (-1, None),
    ],
)
def test_keys_are_laid_on_the_blocks_in_order_then_on_the_modules(number: int, position: KeyPosition | None) -> None:
    assert PHONE.key_position(number) == position


def test_every_key_has_a_place_of_its_own() -> None:
    places = [PHONE.key_position(number) for number in range(1, 125)]
    assert None not in places
    assert len(set(places)) == 124
    assert PHONE.own_keys == 16


def test_a_phone_without_keys_has_no_positions() -> None:
    assert [Model("S1", ("S1",), 1).key_position(number) for number in (0, 1, 2)] == [None] * 3
    assert Model("S1", ("S1",), 1, modules=2, module_keys=0).key_position(1) is None
    assert Model("S1", ("S1",), 1, modules=0, module_keys=20).key_position(1) is None


def test_models_are_read_from_plugin_info() -> None:
    entry = {"names": ["S1", "S1-B"], "lines": 2, "keys": [{"kind": "k", "count": 3}], "behind_nat": True, "dect": 1}
    model = parse_models({"S1": entry})["S1"]
    assert model == Model("S1", ("S1", "S1-B"), 2, keys=(KeyBlock("k", 3),), behind_nat=True, extra={"dect": 1})
    assert parse_models({"S2": {"lines": 1}})["S2"].names == ("S2",)


@pytest.mark.parametrize("data", [None, [], "S1", 7])
def test_models_that_are_no_object_are_refused(data: object) -> None:
    with pytest.raises(PluginLoadError, match="an object is needed"):
        parse_models(data)


# --- URLs

USER = {"X_xivo_phonebook_ip": "192.0.2.10", "X_xivo_user_uuid": "0f3a"}


def test_the_directory_of_a_user() -> None:
    url = "http://192.0.2.10:9498/0.1/directories/input/default/sample?xivo_user_uuid=0f3a"
    assert phonebook_url(USER, "sample") == url
    assert phonebook_url(USER, "sample", query_suffix="&term=#SEARCH") == url + "&term=#SEARCH"


def test_scheme_port_and_entry_point_can_be_chosen() -> None:
    raw = {**USER, "X_xivo_phonebook_scheme": "https", "X_xivo_phonebook_port": 8443}
    assert phonebook_url(raw, "sample", "menu") == (
        "https://192.0.2.10:8443/0.1/directories/menu/default/sample?xivo_user_uuid=0f3a"
    )


def test_an_ipv6_address_stands_in_brackets() -> None:
    raw = {**USER, "X_xivo_phonebook_ip": "2001:db8::1"}
    assert str(phonebook_url(raw, "sample")).startswith("http://[2001:db8::1]:9498/0.1/")


@pytest.mark.parametrize("missing", ["X_xivo_phonebook_ip", "X_xivo_user_uuid"])
@pytest.mark.parametrize("empty", [{}, None, ""])
def test_without_a_directory_or_a_user_there_is_no_url(missing: str, empty: object) -> None:
    raw = {key: value for key, value in USER.items() if key != missing}
    if empty != {}:
        raw[missing] = empty  # type: ignore[assignment]
    assert phonebook_url(raw, "sample") is None
    assert user_service_url(raw, "sample", "dnd", enable=True) is None


def test_a_users_services_are_turned_on_and_off() -> None:
    base = "http://192.0.2.10:9498/0.1/sample/users/0f3a/services/dnd/"
    assert user_service_url(USER, "sample", "dnd", enable=True) == base + "enable"
    assert user_service_url(USER, "sample", "dnd", enable=False) == base + "disable"


def test_what_is_special_in_a_query_is_quoted() -> None:
    url = phonebook_url({**USER, "X_xivo_user_uuid": "a b&c=d"}, "sample")
    assert url is not None
    assert url.endswith("?xivo_user_uuid=a+b%26c%3Dd")


def test_what_is_special_in_a_path_is_quoted() -> None:
    url = user_service_url({**USER, "X_xivo_user_uuid": "a b/../?c"}, "sample", "dnd", enable=True)
    assert url == "http://192.0.2.10:9498/0.1/sample/users/a%20b%2F..%2F%3Fc/services/dnd/enable"
