"""From the families' tables to rules for one server: who is recognised in which order, and is told what.

The first rule that fits a phone is the only one that counts. Vendor classes come before all OUIs, so that an OUI says
something only of phones that send no vendor class of the table. Families stand in the order of their names, the phones
of a family in that of its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provd.dhcp.table import OWN_CODES, Option, Pattern, Phones, Table
from provd.dhcp.values import ADDRESS, ServerPlace, filled
from provd.errors import InvalidValueError

TFTP_PORT = 69
"""Where a phone asks by TFTP that is told no port (RFC 1350)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Phones of a vendor class or, if there is none, of an OUI; and their options, ready to be sent.

    `phones` names the phones of the table, `remarks` are what an administrator should know.
    """

    name: str
    phones: str
    vendor_classes: tuple[Pattern, ...]
    ouis: tuple[str, ...]
    options: tuple[Option, ...]
    remarks: tuple[str, ...]

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of the options, each once."""
        return tuple(dict.fromkeys(option.code for option in self.options))


def make_rules(tables: Iterable[Table], place: ServerPlace) -> list[Rule]:
    """The rules of all tables in their order.

    Raises:
        InvalidValueError: two families want to send the same option in different kinds, or a text is too long.
    """
    phones = [
        (f"{table.family}-{each.name}", each)
        for table in sorted(tables, key=lambda table: table.family)
        for each in table.phones
    ]
    rules = [_rule(name, each, place, by_oui=False) for name, each in phones if each.vendor_classes]
    rules += [_rule(name, each, place, by_oui=True) for name, each in phones if each.ouis]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValueError("phones", name, "a family and a name that together are no others'")
    own_options(rules)
    return rules


def own_options(rules: Iterable[Rule]) -> dict[int, str]:
    """The kind of each option that servers do not know and that a snippet has to define.

    Raises:
        InvalidValueError: the rules do not agree.
    """
    kinds: dict[int, str] = {}
    for rule in rules:
        for option in rule.options:
            if option.code in OWN_CODES and kinds.setdefault(option.code, option.value.kind) != option.value.kind:
                allowed = f"the kind {kinds[option.code]}, as other phones have it"
                raise InvalidValueError(f"{rule.phones}.options.{option.code}", option.value.kind, allowed)
    return dict(sorted(kinds.items()))


def vendor_spaces(rules: Iterable[Rule]) -> Mapping[str, dict[int, str]]:
    """The kinds of the sub-options of option 43, by the phones that they are for."""
    spaces: dict[str, dict[int, str]] = {}
    for rule in rules:
        for option in rule.options:
            if option.sub is not None:
                spaces.setdefault(rule.phones, {})[option.sub] = option.value.kind
    return spaces


def _rule(name: str, phones: Phones, place: ServerPlace, *, by_oui: bool) -> Rule:
    options, remarks = [], [phones.note] if phones.note else []
    for option in phones.options:
        value = filled(f"{name}.options.{option.code}", option.value, place)
        if value is None:
            remarks.append(f"Option {option.code} is left out: it needs an IPv4 address, and {place.address} is none.")
        else:
            options.append(Option(option.code, value, option.sub))
    if place.tftp_port != TFTP_PORT and any(option.value.content == ADDRESS for option in phones.options):
        remarks.append(f"These phones ask on port {TFTP_PORT}, but provd's TFTP port is {place.tftp_port}.")
    return Rule(
        name=f"{name}-oui" if by_oui else name,
        phones=name,
        vendor_classes=() if by_oui else phones.vendor_classes,
        ouis=phones.ouis if by_oui else (),
        options=tuple(options),
        remarks=tuple(remarks),
    )


def describe(rule: Rule) -> Iterator[str]:
    """A heading for the rule, and its remarks, for the comments of a snippet."""
    what = "by option 60" if rule.vendor_classes else "by OUI, if their option 60 tells nothing"
    yield f"{rule.phones}, {what}" + ("" if rule.options else ": left alone")
    yield from rule.remarks
