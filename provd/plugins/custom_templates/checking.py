"""Looking for what is wrong with custom templates, before a phone does."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import gevent

from provd.errors import TemplateError
from provd.model.raw_config import GLOBAL_KEYS, NUMBERED_GROUPS
from provd.plugins.custom_templates.findings import Finding, Severity, finding_of
from provd.plugins.custom_templates.kinds import Kind, purpose_of
from provd.plugins.custom_templates.originals import ModelOf
from provd.plugins.custom_templates.syntax import Reference, Syntax, syntax_of
from provd.plugins.custom_templates.texts import read_template, shipped_templates, template_names
from provd.plugins.custom_templates.trial import Phone, context_names, phones_for, try_common_files, try_phones
from provd.plugins.custom_templates.unreachable import unreachable_templates
from provd.plugins.loader import LoadedPlugin, device_file_names
from provd.plugins.templates import CUSTOM, SHIPPED


def check_custom_templates(
    plugin: LoadedPlugin,
    *,
    texts: Mapping[str, str] | None = None,
    known_names: Collection[str] = (),
    model_of: ModelOf | None = None,
) -> list[Finding]:
    """What is wrong with a plugin's custom templates, by path and line; nothing is written.

    Args:
        plugin: whose templates.
        texts: templates to check as if they were in `var/templates`, by path below that folder.
        known_names: what raw configs give beside the keys of the schema.
        model_of: the models of known phones, by MAC address.
    """
    check = _Check(plugin, texts or {}, known_names)
    findings = {*check.statically(), *check.unreachable(), *check.on_trial(model_of)}
    return sorted(findings, key=lambda each: (each.path, each.line or 0, each.severity, each.message))


class _Check:
    """One look at all of a plugin's templates."""

    def __init__(self, plugin: LoadedPlugin, texts: Mapping[str, str], known_names: Collection[str]) -> None:
        self._plugin, self._texts = plugin, texts
        self._templates = plugin.templates.with_texts(texts)
        self._names = sorted({*template_names(plugin.folder / CUSTOM), *texts})
        self._shipped = {name: self._parsed(name, text) for name, text in shipped_templates(plugin.folder).items()}
        self._custom: dict[str, Syntax | None] = {}
        self._known_names = {*known_names, *GLOBAL_KEYS, *NUMBERED_GROUPS, *self._names_of_the_plugin()}

    def statically(self) -> Iterator[Finding]:
        """What the texts themselves tell."""
        for name in self._names:
            gevent.sleep(0)
            try:
                text = self._texts.get(name)
                text = read_template(self._plugin.folder, f"{CUSTOM}/{name}") if text is None else text
                self._custom[name] = syntax_of(self._templates.parse(name, text))
            except TemplateError as error:
                self._custom[name] = None
                yield finding_of(error, f"{CUSTOM}/{name}")
        for name, syntax in self._custom.items():
            if syntax is not None:
                yield from self._missing(name, syntax)
                yield from self._unknown(name, syntax)
                yield from self._useless_blocks(name, syntax)

    def unreachable(self) -> Iterator[Finding]:
        """Templates that are never used."""
        files_of = partial(device_file_names, self._plugin)
        for name, reason in unreachable_templates(self._plugin.folder, self._plugin.info.models, files_of).items():
            yield Finding(f"{CUSTOM}/{name}", None, Severity.WARNING, f"it is never used: {reason}")

    def on_trial(self, model_of: ModelOf | None) -> Iterator[Finding]:
        """What rendering shows."""
        phones: dict[Phone, None] = {}
        kinds = set()
        for name in self._names:
            files_of = partial(device_file_names, self._plugin)
            purpose = purpose_of(name, self._plugin.folder, self._plugin.info.models, self._shipped, files_of)
            kinds.add(purpose.kind)
            if purpose.kind is not Kind.COMMON and not (purpose.kind is Kind.OTHER and "/" in name):
                phones.update(dict.fromkeys(phones_for(name, purpose, self._plugin, model_of)))
        yield from try_phones(self._plugin, self._templates, phones)
        if kinds & {Kind.COMMON, Kind.INCLUDED}:
            yield from try_common_files(self._plugin, self._templates)

    def _missing(self, name: str, syntax: Syntax) -> Iterator[Finding]:
        for reference in syntax.references:
            if reference.is_needed and not any(self._exists(each) for each in reference.names):
                yield Finding(f"{CUSTOM}/{name}", reference.line, Severity.ERROR, self._missing_message(reference))

    def _missing_message(self, reference: Reference) -> str:
        names = " or ".join(reference.names)
        return f"{reference.statement} {names}: there is no such template in {CUSTOM} and {SHIPPED}"

    def _unknown(self, name: str, syntax: Syntax) -> Iterator[Finding]:
        """Names that nothing gives; those that other templates set may come from there."""
        others = (each.given for each in (*self._custom.values(), *self._shipped.values()) if each is not None)
        known = self._known_names.union(*others)
        for used, line in syntax.used.items():
            if used not in known:
                alike = difflib.get_close_matches(used, known, 1)
                advice = f"; did you mean {alike[0]}?" if alike else ""
                message = f"{used}: no raw config and no plugin gives it, so it prints as nothing{advice}"
                yield Finding(f"{CUSTOM}/{name}", line, Severity.WARNING, message)

    def _useless_blocks(self, name: str, syntax: Syntax) -> Iterator[Finding]:
        """Blocks that override nothing: what they say is never shown."""
        parents = self._ancestors(syntax)
        if not parents or any(parent is None for parent in parents):
            return
        overridable = frozenset[str]().union(*(parent.blocks for parent in parents if parent is not None))
        for block, line in syntax.own_blocks.items():
            if block not in overridable:
                message = f"block {block}: {', '.join(syntax.parents)} has no such block, so this one is never shown"
                yield Finding(f"{CUSTOM}/{name}", line, Severity.WARNING, message)

    def _ancestors(self, syntax: Syntax) -> list[Syntax | None]:
        found: list[Syntax | None] = []
        names, seen = list(syntax.parents), set[str]()
        while names:
            name = names.pop()
            if name not in seen:
                seen.add(name)
                parent = self._custom[name] if name in self._custom else self._shipped.get(name)
                found.append(parent)
                names += parent.parents if parent is not None else ()
        return found

    def _exists(self, name: str) -> bool:
        return self._templates.place_of([name]) is not None

    def _parsed(self, name: str, text: str) -> Syntax | None:
        gevent.sleep(0)
        try:
            return syntax_of(self._plugin.templates.parse(name, text))
        except TemplateError:
            return None  # (a trial shows it)

    def _names_of_the_plugin(self) -> set[str]:
        """What the plugin's code gives, and what its shipped templates use."""
        used = (syntax.used for syntax in self._shipped.values() if syntax is not None)
        return {*self._templates.built_in_names, *context_names(self._plugin)}.union(*used)
