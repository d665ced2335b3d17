"""What a plugin's data says of each phone model: its lines, its keys, its firmware.

The sources of a plugin state this in `models.toml`; the builder puts it into `plugin-info`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from provd.errors import PluginLoadError


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """`count` keys of one kind, as the vendor names the kind (`prgkey`, `topsoftkey`, …)."""

    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class KeyPosition:
    """Where an abstract function key lies on a phone: the `index`-th key (from 1) of its kind.

    `module` is 0 for a key of the phone itself, otherwise the number of the expansion module.
    """

    kind: str
    index: int
    module: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """A phone model of a plugin.

    `names` are what the phone calls itself, `firmware` the version that the plugin is made for, `keys` the phone's
    own key blocks in the order in which abstract keys are laid on them. `modules` expansion modules of
    `module_keys` keys each may be added. `behind_nat` tells whether the phone can work behind a NAT address. What
    is particular to the family stands in `extra`.
    """

    name: str
    names: tuple[str, ...]
    lines: int
    firmware: str | None = None
    keys: tuple[KeyBlock, ...] = ()
    modules: int = 0
    module_keys: int = 0
    behind_nat: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_keys(self) -> int:
        """How many keys the phone has without expansion modules."""
        return sum(block.count for block in self.keys)

    def key_position(self, number: int) -> KeyPosition | None:
        """Where the abstract function key `number` (from 1) lies, or None if the phone has no such key."""
        index = number
        for block in self.keys:
            if 0 < index <= block.count:
                return KeyPosition(block.kind, index)
            index -= block.count
        if self.module_keys and 0 < index <= self.modules * self.module_keys:
            module, offset = divmod(index - 1, self.module_keys)
            return KeyPosition("module", offset + 1, module + 1)
        return None


_KNOWN = ("names", "lines", "firmware", "keys", "modules", "module_keys", "behind_nat")


def parse_models(data: object) -> dict[str, Model]:
    """The models that `plugin-info` states under `models`, by name.

    Raises:
        PluginLoadError: the data has another form.
    """
    if not isinstance(data, Mapping):
        raise PluginLoadError("plugin-info: models: an object is needed")
    return {str(name): _parse_model(str(name), entry) for name, entry in data.items()}


def _parse_model(name: str, entry: Any) -> Model:
    try:
        return Model(
            name=name,
            names=tuple(str(each) for each in entry.get("names", [name])),
            lines=int(entry["lines"]),
            firmware=entry.get("firmware"),
            keys=tuple(KeyBlock(str(block["kind"]), int(block["count"])) for block in entry.get("keys", [])),
            modules=int(entry.get("modules", 0)),
            module_keys=int(entry.get("module_keys", 0)),
            behind_nat=bool(entry.get("behind_nat", False)),
            extra=MappingProxyType({key: value for key, value in entry.items() if key not in _KNOWN}),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PluginLoadError(f"plugin-info: models.{name}: {error!r}") from error
