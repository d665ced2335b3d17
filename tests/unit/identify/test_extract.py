"""What all plugins together make of a request: one vote for each key, whatever the order in which they are asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.identify.extract import NOBODY, cleaned, combine
from provd.model.identity import IDENTITY_KEYS, Identity
from provd.plugins.info import version_key

MAC = "00:08:5d:2e:ec:fb"
OTHER_MAC = "00:08:5d:2e:ec:fc"

texts = st.sampled_from(["Aastra", "Snom", "6731i", "a\nb", "", "x" * 129]) | st.text(max_size=3)
macs = st.sampled_from([MAC, OTHER_MAC, MAC.upper(), "00085d2eecfb", ""])
identities = st.builds(Identity, **{key: st.none() | (macs if key == "mac" else texts) for key in IDENTITY_KEYS})
plugin_ids = st.sampled_from(["xivo-aastra-3.9", "xivo-aastra-3.10", "xivo-snom-8", "xivo-snom-10", "a", "b"])


def graded(**levels: int) -> Callable[[str, Identity], int]:
    """How well each plugin supports a phone, whatever the phone."""
    return lambda plugin_id, _: levels.get(plugin_id, 0)


def newest_first(answers: Mapping[str, Identity]) -> list[tuple[str, Identity]]:
    """The answers in the order in which the plugin host gives them."""
    return [(plugin_id, answers[plugin_id]) for plugin_id in sorted(answers, key=version_key, reverse=True)]


def combined(*answers: tuple[str, Identity], **levels: int) -> Identity:
    return combine(answers, graded(**levels))


# --- votes


def test_without_answers_nobody_is_known() -> None:
    assert combined() == NOBODY == Identity()


def test_one_answer_is_taken() -> None:
    identity = Identity("Aastra", "6731i", "3.3.1.4305", MAC, "sn", "uuid")
    assert combined(("a", identity)) == identity


def test_answers_that_agree_are_taken_without_asking_for_support() -> None:
    def unasked(plugin_id: str, identity: Identity) -> int:
        raise AssertionError

    identity = Identity("Aastra", mac=MAC)
    assert combine([("a", identity), ("b", identity)], unasked) == identity


def test_the_majority_wins() -> None:
    aastra, snom = Identity("Aastra", "6731i"), Identity("Snom", "370")
    assert combined(("s", snom), ("a1", aastra), ("a2", aastra), s=600) == aastra


def test_each_key_is_voted_for_by_itself() -> None:
    answers = [
        ("a", Identity("Aastra", "6731i", mac=MAC)),
        ("b", Identity("Aastra", "6757i", mac=OTHER_MAC)),
        ("c", Identity("Snom", "6757i", mac=MAC)),
    ]
    assert combined(*answers) == Identity("Aastra", "6757i", mac=MAC)


def test_a_plugin_that_does_not_know_a_key_has_no_vote_for_it() -> None:
    answers = [("a", Identity("Aastra")), ("b", Identity("Aastra")), ("c", Identity(model="6731i", sn="123"))]
    assert combined(*answers) == Identity("Aastra", "6731i", sn="123")


def test_a_tie_goes_to_the_plugin_that_supports_the_phone_best() -> None:
    aastra, snom = Identity("Aastra"), Identity("Snom")
    assert combined(("a", aastra), ("s", snom), a=300, s=600) == snom
    assert combined(("a", aastra), ("s", snom), a=600, s=300) == aastra


def test_the_best_of_those_who_say_the_same_decides_a_tie() -> None:
    aastra, snom = Identity("Aastra"), Identity("Snom")
    answers = [("a1", aastra), ("s1", snom), ("a2", aastra), ("s2", snom)]
    assert combined(*answers, a1=100, a2=500, s1=400, s2=400) == aastra


def test_support_is_asked_with_the_plugins_own_answer() -> None:
    asked: list[tuple[str, Identity]] = []
    answers = [("a", Identity("Aastra", "6731i")), ("s", Identity("Snom"))]
    combine(answers, lambda plugin_id, identity: asked.append((plugin_id, identity)) or 0)
    assert set(asked) == set(answers)


def test_support_does_not_overrule_the_majority() -> None:
    answers = [("a", Identity("Aastra")), ("b", Identity("Aastra")), ("s", Identity("Snom"))]
    assert combined(*answers, s=600).vendor == "Aastra"


def test_values_without_the_majority_are_no_candidates_of_a_tie() -> None:
    vendors = ["Aastra", "Aastra", "Snom", "Snom", "Cisco"]
    answers = [(str(number), Identity(vendor)) for number, vendor in enumerate(vendors)]
    assert combine(answers, lambda plugin_id, _: 600 if plugin_id == "4" else 300).vendor == "Aastra"


def test_a_tie_of_equal_support_goes_to_the_newest_version() -> None:
    answers = {"xivo-aastra-3.9": Identity(version="3.9"), "xivo-aastra-3.10": Identity(version="3.10")}
    for order in itertools.permutations(answers):
        assert combined(*newest_first({each: answers[each] for each in order})).version == "3.10"


@pytest.mark.parametrize("level", [0, 250, 10_000])
def test_any_integer_is_a_grade(level: int) -> None:
    answers = [("a", Identity("Aastra")), ("s", Identity("Snom"))]
    assert combined(*answers, a=level, s=level + 1).vendor == "Snom"


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.dictionaries(plugin_ids, identities, max_size=5), st.dictionaries(plugin_ids, st.integers(0, 6)), st.data())
def test_the_order_in_which_plugins_were_loaded_does_not_matter(
    answers: dict[str, Identity], levels: dict[str, int], data: st.DataObject
) -> None:
    shuffled = {each: answers[each] for each in data.draw(st.permutations(list(answers)))}
    assert combine(newest_first(shuffled), graded(**levels)) == combine(newest_first(answers), graded(**levels))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.tuples(plugin_ids, identities), max_size=5), st.integers(0, 600))
def test_every_value_was_proposed_by_a_plugin_and_is_one_that_a_phone_may_have(
    answers: list[tuple[str, Identity]], level: int
) -> None:
    result = combine(answers, lambda *_: level)
    assert cleaned(result) == result
    for key, value in result.known().items():
        assert value in {getattr(identity, key) for _, identity in answers}


# --- values that no phone has


@pytest.mark.parametrize("key", [key for key in IDENTITY_KEYS if key != "mac"])
@pytest.mark.parametrize(
    "value", ["", "a\nb", "a\0", "\x1b[2J", "a\x85", "a\u2028b", "\ud800", "x" * 129, 1, b"a", ["a"], True], ids=ascii
)
def test_a_value_that_no_phone_has_is_dropped(key: str, value: Any) -> None:
    identity = Identity(**{"vendor": "Aastra", "mac": MAC, key: value})
    rest = Identity(**{"vendor": "Aastra", "mac": MAC, key: None})
    assert cleaned(identity) == rest
    assert combined(("a", identity)) == rest
    assert combined(("a", identity), ("b", identity)) == rest


@pytest.mark.parametrize(
    "mac", ["", MAC.upper(), "00085d2eecfb", "00-08-5d-2e-ec-fb", "0:8:5d:2e:ec:fb", f"{MAC}\n", "x", 1, b"a", [MAC]]
)
def test_a_mac_that_is_not_in_stored_form_is_dropped(mac: Any) -> None:
    assert combined(("a", Identity("Aastra", mac=mac))) == Identity("Aastra")


@pytest.mark.parametrize("length", [1, 128])
def test_a_value_of_the_shortest_or_longest_length_is_kept(length: int) -> None:
    assert combined(("a", Identity(sn="x" * length))).sn == "x" * length


def test_values_that_no_phone_has_are_no_votes() -> None:
    bad, good = Identity(vendor="a\nb", model="6731i"), Identity(vendor="Aastra")
    assert combined(("1", bad), ("2", bad), ("3", good)) == Identity("Aastra", "6731i")


def test_an_identity_without_such_values_is_not_copied() -> None:
    identity = Identity("Aastra", mac=MAC)
    assert cleaned(identity) is identity
