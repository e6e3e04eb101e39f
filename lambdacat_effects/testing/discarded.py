"""Plans thrown away: statements that call a generator function, or another that answers a plan, and drop the answer.

Python tells nobody of a generator that is made and dropped, so they are found in the source of the functions that
run. A bare call of a generator function does nothing, whenever it is reached: that much its text tells for certain.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
from collections.abc import Generator, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias, cast, get_origin

import attrs

from lambdacat_effects.effects.failure import catch

__all__ = ["Discarded", "discarded_in", "statement_at"]

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
# `with pytest.raises(TypeError): research()` calls to see it fail.
_EXPECTING = frozenset(["raises", "RaisesGroup", "suppress", "assertRaises"])


@attrs.frozen
class Discarded:
    """A statement whose answer, a plan, is thrown away."""

    file: str
    line: int
    text: str
    """The statement, on one line."""
    made: str
    """What it made, in words."""


def discarded_in(code: CodeType, names: Mapping[str, Any]) -> list[Discarded]:
    """The plans that a function, and those defined within it, make and throw away. `names` are its globals.

    A name is followed where that is certain: a function defined around the statement, or what the module's globals
    hold. None are found without the source.
    """
    found = _functions(code.co_filename).get((code.co_firstlineno, code.co_name))
    if found is None:
        return []
    node, around = found
    return [
        Discarded(code.co_filename, call.lineno, ast.unparse(call), "a plan")
        for call, scopes in _bare_calls(node, around)
        if _makes_a_plan(call.func, scopes, names)
    ]


def statement_at(code: CodeType, offset: int) -> tuple[int, str]:
    """The line and the text of the statement whose instruction is at `offset`; the text is empty without the source.

    >>> def nothing():
    ...     print("tea")
    >>> statement_at(compile("tea()", "<none>", "exec"), 0)[1]
    ''
    """
    positions = list(code.co_positions())
    line, end, column, end_column = positions[offset // 2]
    if line is None:
        return code.co_firstlineno, ""
    if end is None or column is None or end_column is None:
        return line, linecache.getline(code.co_filename, line).strip()
    lines = [
        text.encode() for text in linecache.getlines(code.co_filename)[line - 1 : end]
    ]  # columns count bytes
    if not lines:
        return line, ""
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    return line, " ".join(b"".join(lines).decode(errors="replace").split())


@functools.lru_cache(maxsize=512)
def _functions(file: str) -> dict[tuple[int, str], tuple[_Function, tuple[ast.AST, ...]]]:
    """The functions of a file by first line and name, each with the scopes around it, the innermost last."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    functions: dict[tuple[int, str], tuple[_Function, tuple[ast.AST, ...]]] = {}
    left: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while left:
        node, around = left.pop()
        if isinstance(node, _FUNCTIONS):
            first = min([node.lineno, *[decorator.lineno for decorator in node.decorator_list]])
            functions[first, node.name] = (node, around)
        inside = (*around, node) if isinstance(node, _SCOPES) else around
        left += [(child, inside) for child in ast.iter_child_nodes(node)]
    return functions


def _bare_calls(node: ast.AST, around: tuple[ast.AST, ...]) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    """The calls that are statements, in a function and those defined within it, each with the scopes around it."""
    left: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(node, around)]
    while left:
        node, around = left.pop()
        if isinstance(node, (ast.With, ast.AsyncWith)) and any(map(_expects, node.items)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node.value, around
        inside = (*around, node) if isinstance(node, _SCOPES) else around
        left += [(child, inside) for child in ast.iter_child_nodes(node)]


def _expects(item: ast.withitem) -> bool:
    call = item.context_expr
    fn = call.func if isinstance(call, ast.Call) else call
    name = fn.attr if isinstance(fn, ast.Attribute) else getattr(fn, "id", "")
    return name in _EXPECTING


def _makes_a_plan(fn: ast.expr, scopes: tuple[ast.AST, ...], names: Mapping[str, Any]) -> bool:
    if isinstance(fn, ast.Call):  # catch(NotFound)(plan)
        return _is_global(fn.func, scopes) and _value(fn.func, names) is catch
    if isinstance(fn, ast.Name):
        binding = _binding(fn.id, scopes)
        if binding is not None:
            return _is_plan_function(binding)
    if isinstance(fn, ast.Attribute) and isinstance(fn.value, ast.Name):
        method = _method(fn.value.id, fn.attr, scopes)
        if method is not None:
            return _is_plan_function(method)
    return _is_global(fn, scopes) and _answers_a_plan(_value(fn, names))


def _is_global(fn: ast.expr, scopes: tuple[ast.AST, ...]) -> bool:
    while isinstance(fn, ast.Attribute):
        fn = fn.value
    return isinstance(fn, ast.Name) and _binding(fn.id, scopes) is None


def _binding(name: str, scopes: tuple[ast.AST, ...]) -> ast.AST | None:
    """What binds a name in the functions around: the one function definition that does, or something else."""
    for scope in reversed(scopes):
        if isinstance(scope, ast.ClassDef):
            continue
        bound = [node for node in _own(scope) if _binds(node, name)]
        if any(isinstance(node, ast.Global) for node in bound):
            return None
        bound = [node for node in bound if not isinstance(node, ast.Nonlocal)]
        if bound:
            return bound[0] if len(bound) == 1 else scope
    return None


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Name(id=bound, ctx=ast.Store() | ast.Del()):
            return bound == name
        case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
            return bound == name
        case (
            ast.arg(arg=bound)
            | ast.ExceptHandler(name=bound)
            | ast.MatchAs(name=bound)
            | ast.MatchStar(name=bound)
        ):
            return bound == name
        case ast.MatchMapping(rest=bound):
            return bound == name
        case ast.alias(name=imported, asname=bound):
            return (bound or imported.partition(".")[0]) == name
        case ast.Global(names=bound) | ast.Nonlocal(names=bound):
            return name in bound
        case _:
            return False


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope that are not within another scope inside it; of those, the node itself."""
    left = list(ast.iter_child_nodes(scope))
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, _SCOPES):
            left += ast.iter_child_nodes(node)


def _method(holder: str, name: str, scopes: tuple[ast.AST, ...]) -> ast.AST | None:
    """The method that `self.name` is, if the class around defines it, once."""
    for cls, function in itertools.pairwise(scopes):
        if isinstance(cls, ast.ClassDef) and isinstance(function, _FUNCTIONS):
            first = next(iter([*function.args.posonlyargs, *function.args.args]), None)
            if first is not None and first.arg == holder and _binding(holder, scopes) is first:
                methods = [node for node in cls.body if _binds(node, name)]
                return methods[0] if len(methods) == 1 else None
    return None


def _is_plan_function(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return False
    return any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in _own(node))


def _value(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    """What a dotted name holds, found without running anything; None if it holds nothing."""
    if isinstance(expression, ast.Name):
        return names.get(expression.id)
    if isinstance(expression, ast.Attribute):
        holder = _value(expression.value, names)
        if isinstance(holder, ModuleType):
            return vars(holder).get(expression.attr)
        if holder is not None:
            return inspect.getattr_static(holder, expression.attr, None)
    return None


def _answers_a_plan(fn: Any) -> bool:
    if isinstance(fn, (staticmethod, classmethod)):
        fn = cast(Any, fn).__func__
    if not isinstance(fn, FunctionType):
        return False
    if inspect.isgeneratorfunction(fn):
        return True
    if hasattr(fn, "__wrapped__"):
        return False  # its annotations are of the function it wraps, which it may well perform
    answer: Any = fn.__annotations__.get("return")
    if isinstance(answer, str):
        return answer.startswith(("Plan[", "Generator["))
    return get_origin(answer) is Generator
