"""The raw config of a config with all that it inherits, and who inherits from a config."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.model.config import Config, descendants, flatten, merge

Configs = dict[str, Config]


def config(*parents: str, **raw: Any) -> Config:
    return {"parent_ids": list(parents), "raw_config": raw}


def flattened(configs: Configs, config_id: str = "own", base: dict[str, Any] | None = None) -> dict[str, Any] | None:
    return flatten(config_id, lambda each: copy.deepcopy(configs.get(each)), base or {})


def expected(configs: Configs, config_id: str, base: dict[str, Any]) -> dict[str, Any]:
    """The rule as the facts state it, by recursion: each parent in order, then the config's own values."""
    raw, visited = copy.deepcopy(base), set()

    def visit(each: str) -> None:
        if each in visited or each not in configs:
            return
        visited.add(each)
        for parent in configs[each]["parent_ids"]:
            visit(parent)
        merge(raw, copy.deepcopy(configs[each]["raw_config"]))

    visit(config_id)
    return raw


def test_a_config_that_does_not_exist_has_no_raw_config() -> None:
    assert flattened({}, base={"ip": "192.0.2.10"}) is None


def test_a_config_without_parents_lies_on_the_base() -> None:
    raw = flattened({"own": config(a=2)}, base={"a": 1, "b": 1})
    assert raw == {"a": 2, "b": 1}


def test_own_values_win_over_parents_and_parents_over_the_base() -> None:
    configs = {"own": config("parent", a="own"), "parent": config(a="parent", b="parent")}
    assert flattened(configs, base={"a": "base", "b": "base", "c": "base"}) == {"a": "own", "b": "parent", "c": "base"}


def test_later_parents_win_over_earlier_ones() -> None:
    configs = {"own": config("first", "second"), "first": config(a=1, b=1), "second": config(a=2)}
    assert flattened(configs) == {"a": 2, "b": 1}


def test_a_parent_wins_over_its_own_parents() -> None:
    configs = {"own": config("parent"), "parent": config("grandparent", a=1), "grandparent": config(a=2, b=2)}
    assert flattened(configs) == {"a": 1, "b": 2}


def test_an_earlier_parent_loses_to_a_later_ones_ancestors() -> None:
    configs = {"own": config("first", "second"), "first": config(a=1), "second": config("old"), "old": config(a=3)}
    assert flattened(configs) == {"a": 3}


def test_the_common_ancestor_of_a_diamond_counts_at_its_first_path() -> None:
    configs = {
        "own": config("left", "right"),
        "left": config("top", a="left"),
        "right": config("top"),
        "top": config(a="top", b="top"),
    }
    assert flattened(configs) == {"a": "left", "b": "top"}


def test_a_parent_that_is_named_twice_counts_where_it_is_named_first() -> None:
    configs = {"own": config("a", "b", "a"), "a": config(x="a"), "b": config(x="b")}
    assert flattened(configs) == {"x": "b"}


def test_parents_that_do_not_exist_are_skipped() -> None:
    configs = {"own": config("unknown", "parent", "unknown too", a=1), "parent": config("unknown", b=2)}
    assert flattened(configs) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("configs", "raw"),
    [
        ({"own": config("own", a=1)}, {"a": 1}),
        ({"own": config("other", a=1), "other": config("own", a=2, b=2)}, {"a": 1, "b": 2}),
        ({"own": config("x", a=1), "x": config("y", a=2), "y": config("x", "own", a=3, b=3)}, {"a": 1, "b": 3}),
    ],
    ids=["itself", "two", "a cycle above"],
)
def test_cycles_are_harmless(configs: Configs, raw: dict[str, Any]) -> None:
    assert flattened(configs) == raw


def test_lines_of_parents_are_merged_key_by_key() -> None:
    configs = {
        "own": config("parent", sip_lines={"1": {"username": "alice"}}),
        "parent": config(sip_lines={"1": {"username": "autoprov", "proxy_ip": "192.0.2.10"}, "2": {}}),
    }
    raw = flattened(configs)
    assert raw == {"sip_lines": {"1": {"username": "alice", "proxy_ip": "192.0.2.10"}, "2": {}}}


def test_null_takes_the_place_of_what_a_parent_says() -> None:
    configs = {"own": config("parent", vlan_id=None), "parent": config(vlan_id=10)}
    assert flattened(configs) == {"vlan_id": None}


def test_the_base_is_not_changed() -> None:
    base = {"X_a": {"b": [1]}}
    raw = flattened({"own": config(X_a={"c": 2})}, base=base)
    assert raw == {"X_a": {"b": [1], "c": 2}}
    raw["X_a"]["b"].append(3)
    assert base == {"X_a": {"b": [1]}}


def test_a_chain_of_5000_parents_is_no_burden() -> None:
    configs = {str(number): config(str(number + 1), a=number, **{f"k{number}": 1}) for number in range(5000)}
    raw = flatten("0", lambda each: copy.deepcopy(configs.get(each)), {})
    assert raw is not None
    assert (raw["a"], len(raw)) == (0, 5001)


def test_each_config_is_read_once() -> None:
    configs = {str(number): config(*map(str, range(number + 1, 40))) for number in range(40)}
    read: list[str] = []
    flatten("0", lambda each: read.append(each) or copy.deepcopy(configs.get(each)), {})
    assert sorted(read, key=int) == [str(number) for number in range(40)]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    graph=st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefx"), max_size=4), min_size=1, max_size=6
    ),
    data=st.data(),
)
def test_any_graph_is_flattened_as_the_rule_says(graph: dict[str, list[str]], data: st.DataObject) -> None:
    keys = st.dictionaries(st.sampled_from("kl"), st.integers() | st.dictionaries(st.sampled_from("mn"), st.integers()))
    configs = {each: config(*parents, **data.draw(keys), last=each) for each, parents in graph.items()}
    start = data.draw(st.sampled_from(sorted(graph)))
    assert flattened(configs, start, {"k": 0, "base": 1}) == expected(configs, start, {"k": 0, "base": 1})


# --- who inherits


def children(**graph: str) -> Any:
    return lambda each: tuple(graph.get(each, ""))


def test_a_config_without_children_has_itself() -> None:
    assert descendants("a", children()) == ["a"]


def test_descendants_are_found_at_any_depth_and_each_once() -> None:
    found = descendants("a", children(a="bc", b="d", c="d", d="e"))
    assert found[0] == "a"
    assert sorted(found) == ["a", "b", "c", "d", "e"]


def test_cycles_of_children_are_harmless() -> None:
    assert sorted(descendants("a", children(a="b", b="ac", c="c"))) == ["a", "b", "c"]


def test_a_chain_of_5000_children_is_no_burden() -> None:
    found = descendants("0", lambda each: (str(int(each) + 1),) if int(each) < 5000 else ())
    assert len(found) == 5001
