"""The source of functions and classes: where it is, and which names it needs.

Works on the text of whole files, whose trees it keeps. It does not know what the names stand for.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import symtable
import sys
import textwrap
import types
from dataclasses import dataclass, field
from functools import lru_cache

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
ScopeNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class NoSource(LookupError):
    """There is no source text."""


@dataclass(frozen=True)
class Names:
    """Global names that a piece of source needs."""

    at_definition: frozenset[str]
    """While it is executed: decorators, defaults, bases, the body of a class."""

    later: frozenset[str]
    """When its functions are called."""

    optional: frozenset[str]
    """Only in annotations."""


@dataclass(frozen=True)
class Piece:
    """The source of one function or class, dedented."""

    name: str
    text: str
    file: str
    line: int
    names: Names
    attributes: dict[str, frozenset[str] | None] = field(hash=False)
    """For each name, which attributes of it are used; None where it is used in another way."""


@dataclass(frozen=True)
class _File:
    lines: list[str]
    by_line: dict[int, list[FunctionNode]]
    by_name: dict[str, list[ScopeNode]]


def of_function(function: types.FunctionType) -> Piece:
    """The source of a function with its decorators, or of a lambda."""
    code = function.__code__
    file = _file(code.co_filename, function)
    candidates = file.by_line.get(code.co_firstlineno, [])
    if function.__name__ == "<lambda>" or code.co_name == "<lambda>":
        lambdas = [node for node in candidates if isinstance(node, ast.Lambda)]
        node: FunctionNode = _the_lambda(lambdas, code)
    else:
        named = [n for n in candidates if not isinstance(n, ast.Lambda) and n.name == code.co_name]
        if not named:
            raise NoSource(f"the source at {code.co_filename}:{code.co_firstlineno} has changed")
        node = named[0]
    return _piece(file, code.co_filename, node, code.co_freevars)


def of_class(cls: type) -> Piece:
    """The source of a class with its decorators."""
    module = sys.modules.get(cls.__module__)
    path = getattr(module, "__file__", None)
    if path is None:
        # In a notebook or a prompt the functions of a class know where it was written.
        path = next((code.co_filename for code in _codes(cls)), None)
    if path is None:
        raise NoSource("its module has no file")
    file = _file(path, cls)
    nodes = [n for n in file.by_name.get(cls.__qualname__, []) if isinstance(n, ast.ClassDef)]
    if not nodes:
        raise NoSource(f"it is not in {path}")
    lines = [code.co_firstlineno for code in _codes(cls) if code.co_filename == path]
    meant = [n for n in nodes if lines and n.lineno <= min(lines) <= (n.end_lineno or 0)]
    return _piece(file, path, (meant or nodes)[-1], ())


def _codes(cls: type) -> list[types.CodeType]:
    functions = [inspect.unwrap(f) for f in vars(cls).values() if inspect.isfunction(f)]
    codes = [f.__code__ for f in functions]
    return [code for code in codes if code.co_filename != "<string>"]


def _file(path: str, thing: object) -> _File:
    linecache.checkcache(path)
    lines = linecache.getlines(path, getattr(inspect.getmodule(thing), "__dict__", None))
    if not lines:
        raise NoSource(f"there is no source `{path}`")
    return _parsed("".join(lines))


@lru_cache(maxsize=64)
def _parsed(text: str) -> _File:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise NoSource(f"its source cannot be read: {error}") from error
    by_line: dict[int, list[FunctionNode]] = {}
    by_name: dict[str, list[ScopeNode]] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                by_name.setdefault(prefix + child.name, []).append(child)
                is_class = isinstance(child, ast.ClassDef)
                inner = f"{prefix}{child.name}." + ("" if is_class else "<locals>.")
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                by_line.setdefault(_first_line(child), []).append(child)
            visit(child, inner)

    visit(tree, "")
    return _File(text.splitlines(), by_line, by_name)


def _first_line(node: ast.expr | ScopeNode) -> int:
    decorators = getattr(node, "decorator_list", [])
    first: int = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return first


def _the_lambda(lambdas: list[ast.Lambda], code: types.CodeType) -> ast.Lambda:
    """The one of several lambdas in a line that was compiled to this code."""
    meant = lambdas
    if len(lambdas) > 1:
        meant = [node for node in lambdas if _may_be(node, code)]
    if not meant:
        raise NoSource("the source of the lambda was not found; give it a name with `def`")
    # Of lambdas within each other the innermost one is meant.
    innermost = max(node.col_offset for node in meant)
    meant = [node for node in meant if node.col_offset == innermost or sys.version_info < (3, 11)]
    if len({ast.dump(node) for node in meant}) > 1:
        raise NoSource("there are several lambdas in its line; give it a name with `def`")
    return meant[0]


def _may_be(node: ast.Lambda, code: types.CodeType) -> bool:
    """Whether the code may be that of this lambda: its instructions are within it."""
    if sys.version_info < (3, 11):
        return _is_compiled_from(code, node)
    start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or not end_column or column is None:
            # An instruction that nobody wrote.
            continue
        if (line, column) < start or (end_line, end_column) > end:
            return False
    return True


def _is_compiled_from(code: types.CodeType, node: ast.Lambda) -> bool:
    free = code.co_freevars
    inner = ast.unparse(node)
    text = f"def around({', '.join(free)}):\n return {inner}"
    compiled = compile(text, code.co_filename, "exec", dont_inherit=True)
    around = next(c for c in compiled.co_consts if isinstance(c, types.CodeType))
    found = [c for c in around.co_consts if isinstance(c, types.CodeType)]
    return any(_shape(other) == _shape(code) for other in found)


def _shape(code: types.CodeType) -> tuple[object, ...]:
    constants = [_shape(c) if isinstance(c, types.CodeType) else (type(c), c) for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, tuple(constants)


def _piece(file: _File, path: str, node: FunctionNode | ast.ClassDef, free: tuple[str, ...]) -> Piece:
    first, last = _first_line(node), node.end_lineno or node.lineno
    if isinstance(node, ast.Lambda):
        name = "<lambda>"
        text = ast.unparse(node)
    else:
        name = node.name
        text = _dedented(file, node, first, last)
    names, attributes = _names(text, frozenset(free))
    return Piece(name, text, path, first, names, attributes)


def _dedented(file: _File, node: ScopeNode, first: int, last: int) -> str:
    lines = file.lines[first - 1 : last]
    if node.col_offset == 0:
        return "\n".join(lines)
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if all(line.startswith(indent) or not line.strip() for line in lines):
        text = "\n".join(line[len(indent) :] for line in lines)
    else:
        text = textwrap.dedent("\n".join(lines))
    try:
        same = ast.dump(ast.parse(text).body[0]) == ast.dump(node)
    except SyntaxError:
        same = False
    # The lines of a text in several lines are not indented as the code is.
    return text if same else ast.unparse(node)


@lru_cache(maxsize=1024)
def _names(text: str, free: frozenset[str]) -> tuple[Names, dict[str, frozenset[str] | None]]:
    tree = ast.parse(text)
    everything = _referenced(text)
    bare = ast.unparse(_WithoutAnnotations().visit(ast.parse(text)))
    needed = _referenced(bare)
    own = {node.name for node in tree.body if isinstance(node, ScopeNode)}
    at_definition = needed[0] - free - own
    later = needed[1] - free - own
    optional = (everything[0] | everything[1]) - needed[0] - needed[1] - free - own
    names = Names(frozenset(at_definition), frozenset(later), frozenset(optional))
    return names, _attributes(tree)


def _referenced(text: str) -> tuple[set[str], set[str]]:
    """The global names that are needed when the text is executed, and those needed later."""
    at_definition: set[str] = set()
    later: set[str] = set()

    def visit(table: symtable.SymbolTable, is_now: bool) -> None:
        kind = str(getattr(table.get_type(), "value", table.get_type()))
        if kind == "function" and table.get_name() not in _RUN_AT_ONCE:
            is_now = False
        for symbol in table.get_symbols():
            is_global = symbol.is_global() or kind == "module"
            if is_global and symbol.is_referenced():
                (at_definition if is_now else later).add(symbol.get_name())
        for child in table.get_children():
            visit(child, is_now)

    visit(symtable.symtable(text, "<source>", "exec"), True)
    return at_definition, later


_RUN_AT_ONCE = {"listcomp", "setcomp", "dictcomp", "genexpr"}


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _attributes(tree: ast.AST) -> dict[str, frozenset[str] | None]:
    used: dict[str, set[str] | None] = {}

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of_name = used.setdefault(node.value.id, set())
            if of_name is not None:
                of_name.add(node.attr)
            return
        if isinstance(node, ast.Name):
            used[node.id] = None
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return {name: None if names is None else frozenset(names) for name, names in used.items()}
