"""The snippet for Kea: JSON with comments, which Kea reads.

Kea evaluates every class and gives a phone the options of all that fit. So a class excludes those before it that can
fit the same phone: vendor classes and OUIs that overlap, and an OUI excludes all vendor classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from provd.dhcp.rules import Rule, describe, own_options, vendor_spaces
from provd.dhcp.snippet import PREFIX, Snippet, commented
from provd.dhcp.table import BOOT_FILE_NAME, TFTP_SERVER_NAME, VENDOR_OPTIONS, Option, Pattern
from provd.dhcp.values import Value

KNOWN = f"{PREFIX}-known"
_TYPES = {"text": "string", "ip": "ipv4-address"}
_NAMES = {
    TFTP_SERVER_NAME: "tftp-server-name",
    BOOT_FILE_NAME: "boot-file-name",
    VENDOR_OPTIONS: "vendor-encapsulated-options",
}
_PLAIN = re.compile(r"[!-+\--\[\]-~](?:[ -+\--\[\]-~]*[!-+\--\[\]-~])?")
"""Texts that Kea takes as they are: without commas and backslashes, which it reads as its own, and without blanks at
the ends, which it cuts."""

_HOW_TO = """\
Where it goes: into "Dhcp4" of /etc/kea/kea-dhcp4.conf. If that has no "hooks-libraries", "option-def" or
"client-classes" yet, copy these as they are; otherwise add the elements of the lists here to those that are there.
Or have xivo-provd dhcp-config --kea-fragment write the three without the braces around them to
/etc/kea/xivo-provd.json, and put into "Dhcp4", among its other members, separated by commas, the line
    <?include "/etc/kea/xivo-provd.json"?>
Then: kea-dhcp4 -t /etc/kea/kea-dhcp4.conf && systemctl restart kea-dhcp4-server

What "option-data" of a subnet, pool or host says counts more in Kea than what a class says: options 43, 66 and 67 that
are meant for others than phones belong into "option-data" of "Dhcp4", or into a class of their own.

With AppArmor, Kea may not run the hook, and its profile includes no local file. Add the line
    /usr/libexec/xivo-provd/xivo-provd-dhcp-hook PUx,
to /etc/apparmor.d/usr.sbin.kea-dhcp4, before the last brace, and run
    apparmor_parser -r /etc/apparmor.d/usr.sbin.kea-dhcp4
Newer versions of Kea run only what lies in their own folder of scripts. The package xivo-provd puts a link there: make
this again with --hook /usr/share/kea/scripts/xivo-provd-dhcp-hook. --kea-library says where libdhcp_run_script.so is.
On another machine than provd's, leave "hooks-libraries" out.

Kea tells the hook nothing of option 60. Phones are told by these classes where to ask, and provd recognises them then.
"""


@dataclass(frozen=True, slots=True)
class KeaPlace:
    """Where Kea's library that runs scripts is, and whether only the members of "Dhcp4" are wanted."""

    library: str
    fragment: bool = False


def render(snippet: Snippet, kea: KeaPlace) -> str:
    """The snippet as text: a whole document, or what belongs into "Dhcp4" of another."""
    lines = commented([*snippet.title("Kea"), *_HOW_TO.splitlines()], "//")
    members = _members(snippet, kea.library)
    lines += members if kea.fragment else ["{", '"Dhcp4": {', *(f"    {line}" for line in members), "}", "}"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def constant(text: str) -> str:
    """Text as a constant of an expression, which knows no escapes: in hex, if it has a quote."""
    return f"'{text}'" if "'" not in text else f"0x{text.encode().hex()}"


def class_name(rule: Rule) -> str:
    """The name of the class of the rule's phones."""
    return f"{PREFIX}-{rule.name}"


def condition(rule: Rule, before: Sequence[Rule]) -> str:
    """The expression that is true of the rule's phones and of no rule's before."""
    fits = " or ".join([*map(_vendor_class, rule.vendor_classes), *(_oui(oui) for oui in rule.ouis)])
    others = [class_name(each) for each in before if _overlap(rule, each)]
    if rule.ouis and any(each.vendor_classes for each in before):
        others.insert(0, KNOWN)
    return " and ".join([*(f"not member('{name}')" for name in others), f"({fits})"]) if others else fits


def _overlap(one: Rule, other: Rule) -> bool:
    same_class = any(each.overlaps(pattern) for each in one.vendor_classes for pattern in other.vendor_classes)
    return same_class or bool(set(one.ouis) & set(other.ouis))


def _vendor_class(pattern: Pattern) -> str:
    option, text = "option[60].hex", constant(pattern.text)
    if pattern.exact:
        return f"{option} == {text} or {option} == 0x{pattern.text.encode().hex()}00"
    return f"substring({option}, 0, {len(pattern.text)}) == {text}"


def _oui(oui: str) -> str:
    return f"substring(pkt4.mac, 0, 3) == 0x{oui.replace(':', '')}"


def _members(snippet: Snippet, library: str) -> list[str]:
    hook = {"library": library, "parameters": {"name": snippet.hook, "sync": False}}
    lists = {
        "hooks-libraries": [["// Tells provd of leases.", json.dumps(hook)]],
        "option-def": [[json.dumps(each)] for each in _definitions(snippet.rules)],
        "client-classes": list(_classes(snippet.rules)),
    }
    lines: list[str] = []
    for number, (name, elements) in enumerate(lists.items(), 1):
        lines += [f'"{name}": [', *_separated(elements), "]," if number < len(lists) else "]"]
    return lines


def _separated(elements: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a list's elements, indented, with a comma behind each element but the last."""
    for number, lines in enumerate(elements, 1):
        comma = "," if number < len(elements) else ""
        yield from (f"    {line}" for line in [*lines[:-1], lines[-1] + comma])


def _definitions(rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    for code, kind in own_options(rules).items():
        yield {"name": f"{PREFIX}-{code}", "code": code, **_type(kind)}
    for phones, kinds in vendor_spaces(rules).items():
        for sub, kind in kinds.items():
            yield {"name": f"sub-{sub}", "code": sub, "space": f"{PREFIX}-{phones}", **_type(kind)}


def _type(kind: str) -> dict[str, Any]:
    return {"type": _TYPES.get(kind, kind), **({"array": True} if kind == "ip" else {})}


def _classes(rules: Sequence[Rule]) -> Iterator[list[str]]:
    """The lines of each class, and of the one of all phones of a known vendor class, which OUIs exclude."""
    by_vendor_class = [rule for rule in rules if rule.vendor_classes]
    for number, rule in enumerate(rules):
        if rule.ouis and number == len(by_vendor_class) > 0:
            test = " or ".join(f"member('{class_name(each)}')" for each in by_vendor_class)
            yield ["// whose option 60 tells who they are", json.dumps({"name": KNOWN, "test": test})]
        yield [*commented(describe(rule), "//"), *_class(rule, condition(rule, rules[:number]))]


def _class(rule: Rule, test: str) -> Iterator[str]:
    head = [f'"name": {json.dumps(class_name(rule))}', f'"test": {json.dumps(test)}']
    lists = {"option-def": _vendor_option(rule), "option-data": [_data(rule, each) for each in rule.options]}
    if any(option.sub is not None for option in rule.options):
        lists["option-data"].insert(0, {"name": _NAMES[VENDOR_OPTIONS], "code": VENDOR_OPTIONS, "always-send": True})
    members = [[line] for line in head]
    for name, elements in lists.items():
        if elements:
            members.append([f'"{name}": [', *_separated([[json.dumps(each)] for each in elements]), "]"])
    yield from ["{", *_separated(members), "}"]


def _vendor_option(rule: Rule) -> list[dict[str, Any]]:
    """What option 43 is for these phones: a place for sub-options, or a text."""
    definition = {"name": _NAMES[VENDOR_OPTIONS], "code": VENDOR_OPTIONS}
    if any(option.sub is not None for option in rule.options):
        return [{**definition, "type": "empty", "encapsulate": f"{PREFIX}-{rule.phones}"}]
    return [{**definition, "type": "string"}] if VENDOR_OPTIONS in rule.codes else []


def _data(rule: Rule, option: Option) -> dict[str, Any]:
    if option.sub is not None:
        where = {"name": f"sub-{option.sub}", "code": option.sub, "space": f"{PREFIX}-{rule.phones}"}
        return {**where, **_value(option.value)}
    name = _NAMES.get(option.code, f"{PREFIX}-{option.code}")
    return {"name": name, "code": option.code, **_value(option.value), "always-send": True}


def _value(value: Value) -> dict[str, Any]:
    if value.kind != "text":
        return {"data": str(value.content).lower()}
    text = str(value.content)
    return {"data": text} if _PLAIN.fullmatch(text) else {"csv-format": False, "data": text.encode().hex()}
