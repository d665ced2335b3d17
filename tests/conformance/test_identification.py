"""What a plugin says of requests: of its own phones, of other vendors', and of nonsense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provd.model.identity import Identity, Support
from provd.model.mac import is_normalized_mac
from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.loader import LoadedPlugin
from provd.plugins.models import Model

from .corpus import Sample, identify, samples
from .official import Source
from .syntax import Family

FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # (the plugin is the same in all tests)
)

_WORDS = [
    sample
    for line in samples()
    for sample in (line.path or "", getattr(line.request, "user_agent", ""), *line.expect.values())
    if sample
]
"""Paths, User-Agents, models and addresses of the corpus, to make near misses from."""

_PIECES = st.sampled_from(_WORDS).flatmap(
    lambda word: st.builds(lambda start, end: word[start:end], st.integers(0, len(word)), st.integers(0, len(word)))
)
TEXTS = st.text() | st.lists(_PIECES | st.text(max_size=3), max_size=5).map("".join)
HEADERS = st.dictionaries(st.sampled_from(["user-agent", "accept", "x-ciscoipphonemodelname"]), TEXTS)
OPTIONS: st.SearchStrategy[Mapping[int, bytes]] = st.dictionaries(
    st.sampled_from([12, 43, 55, 60, 61, 66, 77, 124, 125]),
    st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace")),
)
MACS = st.binary(min_size=6, max_size=6).map(lambda address: address.hex(":"))


def test_own_phones_of_the_corpus_are_recognised(source: Source, plugin: LoadedPlugin) -> None:
    own = [sample for sample in samples() if sample.family == source.family]
    assert own, f"the corpus has no request of family {source.family}"
    wrong = [(sample.request, found) for sample in own if (found := _found(plugin, sample)) != sample.expect]
    assert wrong == []


def test_nobody_else_is_taken_for_a_phone_of_the_family(source: Source, plugin: LoadedPlugin) -> None:
    others = [sample for sample in samples() if sample.family != source.family and not sample.ambiguous]
    assert [sample.request for sample in others if _found(plugin, sample)] == []


def test_an_ambiguous_request_tells_no_address(source: Source, plugin: LoadedPlugin) -> None:
    assert [sample.request for sample in samples() if sample.ambiguous and "mac" in _found(plugin, sample)] == []


@FUZZ
@given(path=TEXTS, query=TEXTS, headers=HEADERS)
def test_any_http_request_is_survived(
    source: Source, plugin: LoadedPlugin, path: str, query: str, headers: dict[str, str]
) -> None:
    _check_identity(plugin, plugin.code.identify_http(HttpRequest("192.0.2.7", path, query, headers)))


@FUZZ
@given(path=TEXTS, mode=TEXTS, options=st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_any_tftp_request_is_survived(
    source: Source, plugin: LoadedPlugin, path: str, mode: str, options: dict[str, str]
) -> None:
    _check_identity(plugin, plugin.code.identify_tftp(TftpRequest("192.0.2.7", path, mode, options)))


@FUZZ
@given(mac=MACS, options=OPTIONS)
def test_any_lease_is_survived(
    source: Source, plugin: LoadedPlugin, mac: str, options: Mapping[int, bytes]
) -> None:
    _check_identity(plugin, plugin.code.identify_dhcp(DhcpLease("192.0.2.7", mac, options)))


@FUZZ
@given(path=TEXTS)
def test_any_path_is_sensitive_or_not(source: Source, plugin: LoadedPlugin, path: str) -> None:
    assert plugin.code.is_sensitive(path) in (True, False)


def test_model_is_recognised_by_all_its_names(
    source: Source, plugin: LoadedPlugin, family: Family, model: Model
) -> None:
    for name in model.names:
        for request in family.introductions(name):
            found = identify(plugin.code, request)
            assert found is not None, f"{request} is not recognised"
            assert (found.vendor, found.model) == (plugin.info.vendor, model.name)


def test_support_is_exact_for_the_firmware_that_the_plugin_is_made_for(
    source: Source, plugin: LoadedPlugin, model: Model
) -> None:
    identity = Identity(plugin.info.vendor, model.name, model.firmware)
    assert plugin.code.support(identity) == Support.EXACT


def test_support_is_complete_for_other_firmware(source: Source, plugin: LoadedPlugin, model: Model) -> None:
    assert plugin.code.support(Identity(plugin.info.vendor, model.name, "0.0.0.1")) == Support.COMPLETE
    assert plugin.code.support(Identity(plugin.info.vendor, model.name)) == Support.COMPLETE


def test_support_is_probable_for_a_model_that_the_plugin_does_not_know(source: Source, plugin: LoadedPlugin) -> None:
    assert plugin.code.support(Identity(plugin.info.vendor, "unheard-of")) == Support.PROBABLE
    assert plugin.code.support(Identity(plugin.info.vendor)) == Support.PROBABLE


def test_support_is_none_for_another_vendor(source: Source, plugin: LoadedPlugin, model: Model) -> None:
    assert plugin.code.support(Identity("Nobody", model.name, model.firmware)) == Support.NONE


def test_support_is_unknown_without_a_vendor(source: Source, plugin: LoadedPlugin, model: Model) -> None:
    assert plugin.code.support(Identity()) == Support.UNKNOWN
    assert plugin.code.support(Identity(model=model.name, mac="00:08:5d:2e:ec:fb")) == Support.UNKNOWN


def _found(plugin: LoadedPlugin, sample: Sample) -> dict[str, Any]:
    """What the plugin says of a sample, as the corpus says it."""
    identity = identify(plugin.code, sample.request)
    return identity.known() if identity is not None else {}


def _check_identity(plugin: LoadedPlugin, identity: Identity | None) -> None:
    if identity is None:
        return
    assert identity.vendor == plugin.info.vendor
    assert identity.mac is None or is_normalized_mac(identity.mac)
    assert all(value and value.isprintable() for value in identity.known().values())
