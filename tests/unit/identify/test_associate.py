"""Which plugin a device gets."""

from __future__ import annotations

import itertools

import pytest

from provd.identify.associate import best_plugin, may_stay
from provd.model.identity import Support
from provd.plugins.info import version_key


def newest_first(**levels: int) -> list[tuple[str, int]]:
    """The plugins in the order in which the plugin host gives them; `_` stands for what no name may have."""
    pairs = [(plugin_id.replace("_", "."), level) for plugin_id, level in levels.items()]
    return sorted(pairs, key=lambda pair: version_key(pair[0]), reverse=True)


def test_the_plugin_that_supports_the_phone_best_is_chosen() -> None:
    levels = [("a", Support.COMPLETE), ("b", Support.EXACT), ("c", Support.PROBABLE)]
    for order in itertools.permutations(levels):
        assert best_plugin(order) == "b"


@pytest.mark.parametrize("level", [Support.PROBABLE, Support.INCOMPLETE, Support.COMPLETE, Support.EXACT, 301, 10_000])
def test_a_plugin_is_chosen_from_probable_on(level: int) -> None:
    assert best_plugin([("a", level)]) == "a"


@pytest.mark.parametrize("level", [Support.NONE, Support.IMPROBABLE, Support.UNKNOWN, 299, -1])
def test_a_plugin_below_probable_is_not_chosen(level: int) -> None:
    assert best_plugin([("a", level), ("b", level)]) is None


def test_without_plugins_none_is_chosen() -> None:
    assert best_plugin([]) is None


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("xivo-aastra-3.9", "xivo-aastra-3.10"),
        ("xivo-aastra-3.3.1-SP2", "xivo-aastra-3.3.1-SP10"),
        ("xivo-aastra-3.3.1", "xivo-aastra-3.3.1-SP2"),
        ("xivo-snom-8.7.3.25", "xivo-snom-8.7.5.35"),
        ("xivo-polycom-4.0.9", "xivo-polycom-5.4.3"),
    ],
)
def test_a_tie_goes_to_the_newer_version_as_people_read_it(older: str, newer: str) -> None:
    for first, second in itertools.permutations([older, newer]):
        levels = sorted([first, second], key=version_key, reverse=True)
        assert best_plugin([(plugin_id, Support.COMPLETE) for plugin_id in levels]) == newer


def test_an_older_version_that_fits_better_beats_a_newer_one() -> None:
    assert best_plugin(newest_first(a3_10=Support.COMPLETE, a3_9=Support.EXACT)) == "a3.9"


@pytest.mark.parametrize(("level", "stays"), [(Support.PROBABLE, True), (Support.UNKNOWN, False), (0, False)])
def test_a_plugin_that_somebody_chose_stays_if_it_probably_supports_the_phone(level: int, stays: bool) -> None:
    assert may_stay("a", [("b", Support.EXACT), ("a", level)], is_claimed=True) is stays


@pytest.mark.parametrize(("level", "stays"), [(Support.COMPLETE, True), (Support.INCOMPLETE, False)])
def test_the_servers_own_choice_stays_only_if_no_plugin_is_better(level: int, stays: bool) -> None:
    assert may_stay("a", [("b", Support.COMPLETE), ("a", level)], is_claimed=False) is stays


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_plugin_that_does_not_answer_may_not_stay(is_claimed: bool) -> None:
    assert not may_stay("a", [("b", Support.EXACT)], is_claimed=is_claimed)
