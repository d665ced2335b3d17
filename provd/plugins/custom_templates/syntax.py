"""What can be told of a template without rendering it: which others it needs, and which names it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import meta, nodes


@dataclass(frozen=True, slots=True)
class Reference:
    """A statement in `line` that needs one of some templates, if it `is_needed`; only names that stand there."""

    statement: str
    names: tuple[str, ...]
    line: int
    is_needed: bool


@dataclass(frozen=True, slots=True)
class Syntax:
    """What a template says.

    Args:
        references: the other templates that it extends, includes or imports.
        used: names that it expects from elsewhere, with the first line of each.
        given: names that it gives a value to somewhere, which templates that it includes or extends see too.
        blocks: all blocks in it.
        own_blocks: those that are in no other block, with their lines.
    """

    references: tuple[Reference, ...]
    used: Mapping[str, int]
    given: frozenset[str]
    blocks: frozenset[str]
    own_blocks: Mapping[str, int]

    @property
    def parents(self) -> tuple[str, ...]:
        """The templates that it may extend."""
        return tuple(name for each in self.references if each.statement == "extends" for name in each.names)


def syntax_of(tree: nodes.Template) -> Syntax:
    """What the parsed template says."""
    undeclared = meta.find_undeclared_variables(tree)
    used: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name in undeclared:
            used[name.name] = min(name.lineno, used.get(name.name, name.lineno))
    return Syntax(
        references=tuple(_references(tree)),
        used=used,
        given=frozenset(_given(tree)),
        blocks=frozenset(block.name for block in tree.find_all(nodes.Block)),
        own_blocks={node.name: node.lineno for node in tree.body if isinstance(node, nodes.Block)},
    )


def _references(tree: nodes.Template) -> Iterator[Reference]:
    kinds = {
        nodes.Extends: "extends",
        nodes.Include: "include",
        nodes.Import: "import",
        nodes.FromImport: "from … import",
    }
    for node in tree.find_all(tuple(kinds)):
        names = tuple(_constant_names(getattr(node, "template", None)))
        if names:
            is_needed = not getattr(node, "ignore_missing", False)
            yield Reference(kinds[type(node)], names, node.lineno, is_needed)


def _constant_names(node: object) -> Iterator[str]:
    """The names that stand in a statement; none at all if one has to be computed."""
    try:
        value = node.as_const() if isinstance(node, nodes.Expr) else None
    except nodes.Impossible:
        return
    yield from (each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, str))


def _given(tree: nodes.Template) -> Iterator[str]:
    for name in tree.find_all(nodes.Name):
        if name.ctx in ("store", "param"):
            yield name.name
    for macro in tree.find_all(nodes.Macro):
        yield macro.name
    for whole in tree.find_all(nodes.Import):
        yield whole.target
    for parts in tree.find_all(nodes.FromImport):
        yield from (each if isinstance(each, str) else each[1] for each in parts.names)
