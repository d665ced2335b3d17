"""The Jinja2 environment of templates: a sandbox with bounds, in which changes of files are noticed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.loaders import split_template_path
from jinja2.runtime import BlockReference, Context, markup_join, str_join
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from provd.plugins.bounded_filters import BOUNDED_FILTERS
from provd.plugins.bounds import bounded_arguments, check_operation, check_texts, format_text, join
from provd.plugins.limits import LimitExceededError

MAX_TEMPLATE_BYTES = 1024 * 1024


class OverridingLoader(jinja2.BaseLoader):
    """Finds a template in the first folder that has it.

    A compiled template is used again only while the same file, unchanged, is what would be found: a custom template
    counts as soon as it is put down, and the shipped one again as soon as it is removed. For that, only the paths that
    it can have are looked at, each time that it is rendered; no folder is read.

    `texts` stand before all folders, by template; errors name them as if they were in the first one.
    """

    def __init__(self, folders: Sequence[Path], texts: Mapping[str, str] | None = None) -> None:
        self._folders = [str(folder) for folder in folders]
        self._texts = dict(texts or {})

    def place_of(self, template: str) -> str | None:
        """The path of the file that is the template, or None if there is none."""
        found = self._find(template)
        return None if found is None else str(found[0])

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The template's text and path, and whether both are still so."""
        found = self._find(template)
        if found is None:
            raise jinja2.TemplateNotFound(template)
        path = found[0]
        try:
            if found[-1] > MAX_TEMPLATE_BYTES:
                raise OSError(f"larger than {MAX_TEMPLATE_BYTES} bytes")
            source = found[1] if isinstance(found[1], str) else _read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise jinja2.TemplateSyntaxError(f"cannot be read: {error}", 1, template, path) from error
        return source, path, lambda: self._find(template) == found

    def _find(self, template: str) -> tuple[Any, ...] | None:
        parts = split_template_path(template)
        text = self._texts.get("/".join(parts))
        if text is not None:
            return os.path.join(self._folders[0], *parts), text, len(text.encode("utf-8", "replace"))
        for folder in self._folders:
            path = os.path.join(folder, *parts)
            try:
                status = os.stat(path)
            except OSError:
                continue
            return path, status.st_ino, status.st_ctime_ns, status.st_size
        return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


class _Template(jinja2.Template):
    """A template whose macros are made anew for each import, because Jinja2 would keep what they import."""

    def make_module(self, *args: Any, **kwargs: Any) -> TemplateModule:
        module = super().make_module(*args, **kwargs)
        check_texts(module._body_stream)  # (which Jinja2 joins by itself when a template prints the module)
        return module

    def _get_default_module(self, ctx: Any = None) -> TemplateModule:
        return self.make_module()


class _CodeGenerator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """`a ~ b` becomes a call of the environment's `join_operands`."""
        self.write("environment.join_operands(context, (")
        for operand in node.nodes:
            self.visit(operand, frame)
            self.write(", ")
        self.write("))")

    def visit_Extends(self, node: nodes.Extends, frame: Frame) -> None:
        """A template that extends itself is an error that says so, where Jinja2 would go round and round."""
        if isinstance(node.template, nodes.Const) and node.template.value == self.name:
            self.fail(
                f"{self.name} extends itself; a custom template takes the place of the shipped one of its name: "
                "copy that one and edit the copy",
                node.lineno,
            )
        super().visit_Extends(node, frame)


class TemplateEnvironment(SandboxedEnvironment):
    """A sandbox in which no operation makes a value that fills the memory or takes for ever.

    Many small ones may still; `provd.plugins.limits` ends them.
    """

    intercepted_binops: ClassVar[frozenset[str]] = frozenset(["+", "*", "**", "%"])  # type: ignore[misc]
    template_class = _Template
    code_generator_class = _CodeGenerator
    concat = staticmethod(join)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters.update(BOUNDED_FILTERS)

    def compile(self, source: Any, name: str | None = None, filename: str | None = None, *args: Any) -> Any:
        """Compile as Jinja2 does; that takes long enough to be limited, and then the template must be named."""
        try:
            return super().compile(source, name, filename, *args)
        except LimitExceededError as error:
            raise jinja2.TemplateSyntaxError(str(error), 1, name, filename) from None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The value of `left operator right`.

        Raises:
            OverflowError: it would be too large.
        """
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What a call gives.

        Raises:
            OverflowError: it would be too large.
        """
        method = getattr(called, "__wrapped__", called)  # (newer versions of Jinja2 wrap the method `format`)
        value, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(value, str) and name in ("format", "format_map"):
            return format_text(self, value, name, args, kwargs)
        if isinstance(value, str | bytes | int):
            args = bounded_arguments(value, name, args, kwargs)
        if isinstance(called, BlockReference):
            return self._block(called)
        return super().call(context, called, *args, **kwargs)

    def join_operands(self, context: Context, operands: tuple[Any, ...]) -> str:
        """The value of `a ~ b ~ …`.

        Raises:
            OverflowError: it would be too large.
        """
        check_texts(operands)
        return markup_join(operands) if context.eval_ctx.autoescape else str_join(operands)

    def _block(self, block: BlockReference) -> str:
        """What `super()` or `self.name()` gives; older versions of Jinja2 join it without asking the environment."""
        text = join(block._stack[block._depth](block._context))
        autoescape = block._context.eval_ctx.autoescape
        return Markup(text) if autoescape else text  # noqa: S704  (its values are escaped already)
