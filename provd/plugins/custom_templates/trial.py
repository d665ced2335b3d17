"""Rendering custom templates on trial."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import gevent

from provd.errors import PluginError, TemplateError
from provd.plugins.api import File
from provd.plugins.custom_templates.findings import Finding, Severity, finding_of
from provd.plugins.custom_templates.kinds import Kind, Purpose
from provd.plugins.custom_templates.originals import ModelOf
from provd.plugins.custom_templates.typical import least_raw_config, typical_raw_config
from provd.plugins.loader import LoadedPlugin
from provd.plugins.rendering import render_common_files, render_device_files
from provd.plugins.templates import TemplateSet

_SOME_MAC = "00:00:5e:00:53:01"

Phone = tuple[str, str | None]
"""MAC address and model."""


def phones_for(
    name: str, purpose: Purpose, plugin: LoadedPlugin, model_of: ModelOf | None = None
) -> Iterator[Phone]:
    """The phones to try a custom template with: those whose files it makes."""
    if purpose.kind is Kind.DEVICE and purpose.mac:
        yield purpose.mac, (model_of(purpose.mac) if model_of else None) or next(iter(plugin.info.models), None)
    elif purpose.kind is Kind.MODEL:
        yield _SOME_MAC, purpose.model
    elif purpose.kind is Kind.OTHER:
        yield _SOME_MAC, name.removesuffix(".tpl")
    else:
        yield from ((_SOME_MAC, model) for model in (*plugin.info.models, None))


def try_phones(plugin: LoadedPlugin, templates: TemplateSet, phones: Iterable[Phone]) -> Iterator[Finding]:
    """Render the files of phones; what fails with a typical raw config is an error.

    What fails only for a phone that has one line and nothing else is a warning: there may be no such phone.
    """
    for mac, model in phones:
        gevent.sleep(0)  # (many are tried, and the server has other things to do)
        known = plugin.info.models.get(model or "")
        device = {"id": "", "mac": mac, "vendor": plugin.info.vendor, "model": model}
        errors = list(_try(plugin, templates, device, typical_raw_config(known)))
        yield from errors
        places = {(error.path, error.line) for error in errors}
        for finding in _try(plugin, templates, device, least_raw_config()):
            if (finding.path, finding.line) not in places:
                message = f"for a phone with one line and nothing else: {finding.message}"
                yield replace(finding, severity=Severity.WARNING, message=message)


def try_common_files(plugin: LoadedPlugin, templates: TemplateSet) -> Iterator[Finding]:
    """Render the files that all phones share."""
    raw_config = typical_raw_config(None)
    for file in _declared(lambda: plugin.code.common_files(raw_config)):
        if isinstance(file, Finding):
            yield file
            continue
        try:
            render_common_files([file], templates, raw_config)
        except PluginError as error:
            yield _finding(error, file.path)


def context_names(plugin: LoadedPlugin) -> frozenset[str]:
    """The names that the plugin itself gives to templates."""
    names: set[str] = set()
    for model in (*plugin.info.models, None):
        device = {"id": "", "mac": _SOME_MAC, "vendor": plugin.info.vendor, "model": model}
        raw_config = typical_raw_config(plugin.info.models.get(model or ""))
        names.update(_context_names(_device_files(plugin, device, raw_config)))
    shared = typical_raw_config(None)
    return frozenset(names.union(_context_names(_declared(lambda: plugin.code.common_files(shared)))))


def _context_names(files: Iterable[File | Finding]) -> set[str]:
    return {name for file in files if isinstance(file, File) for name in file.context}


def _try(
    plugin: LoadedPlugin, templates: TemplateSet, device: dict[str, Any], raw_config: dict[str, Any]
) -> Iterator[Finding]:
    for file in _device_files(plugin, device, raw_config):
        if isinstance(file, Finding):
            yield file
            continue
        try:
            render_device_files([file], templates, device["model"], raw_config)
        except PluginError as error:
            yield _finding(error, file.path)


def _device_files(
    plugin: LoadedPlugin, device: dict[str, Any], raw_config: dict[str, Any]
) -> Iterator[File | Finding]:
    given = copy.deepcopy((device, raw_config))
    return _declared(lambda: plugin.code.device_files(*given))


def _declared(files: Any) -> Iterator[File | Finding]:
    """What the plugin declares, or one finding that says why it cannot."""
    try:
        yield from list(files())
    except (Exception, SystemExit) as error:  # noqa: BLE001  (foreign code)
        message = f"the plugin cannot be tried: {type(error).__name__}: {error}"
        yield Finding("entry.py", None, Severity.WARNING, message)


def _finding(error: PluginError, file_path: str) -> Finding:
    path = f"var/tftpboot/{file_path}"
    if isinstance(error, TemplateError):
        return finding_of(error, path)
    return Finding(path, None, Severity.ERROR, str(error))
