"""`${{ … }}` in texts, and the expressions of `when` and `expect`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tagback.errors import UsageError
from tagback.pipeline.durations import seconds

_PLACE = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.S)
_HYPHENS = re.compile(r"\b([a-z]+)\.([A-Za-z_]\w*(?:-\w+)+)")
FUNCTIONS = {"len": len, "int": int, "float": float, "str": str, "min": min, "max": max, "abs": abs, "round": round}

P = TypeVar("P")


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression. UsageError if it isn't one, or if it names what isn't there."""
    try:
        import simpleeval
    except ImportError:
        raise UsageError(
            "Pipelines need the package simpleeval.", code="package_missing", hint="pip install 'tagback[pipeline]'"
        ) from None
    text = bare(expression, names)
    constants = {"true": True, "false": False, "null": None, "none": None}
    evaluator = simpleeval.EvalWithCompoundTypes(functions=dict(FUNCTIONS), names={**constants, **names})
    # A dot is a key here and never an attribute: a step's `values` are not dict.values. Nothing but FUNCTIONS is called.
    evaluator.nodes[ast.Attribute] = lambda node: _key(evaluator._eval(node.value), node.attr)
    try:
        return evaluator.eval(text)
    except UsageError:
        raise
    except Exception as e:  # whatever Python says about it: too large, too deep, no number
        raise UsageError(
            f"The expression `{text}` has no value: {' '.join(str(e).split()) or type(e).__name__}",
            code="expression",
            hint=f"Known here: {', '.join(sorted(names))}.",
        ) from e


def bare(expression: str, names: Mapping[str, Any]) -> str:
    """The expression as Python reads it: without `${{ }}`, and with `steps.a-b` for a step that is called so."""
    found = _PLACE.fullmatch(expression.strip())
    text = found[1] if found and "${{" not in found[1] else _PLACE.sub(r"(\1)", expression)

    def quoted(m: re.Match[str]) -> str:
        known = names.get(m[1])
        return f"{m[1]}[{m[2]!r}]" if isinstance(known, Mapping) and m[2] in known else m[0]

    return _HYPHENS.sub(quoted, text.strip())


def _key(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        known = ", ".join(map(str, value)) or "nothing"
        raise UsageError(f"There is no `{name}` here.", code="expression", hint=f"There are {known}."[:300])
    raise UsageError(f"`.{name}` asks {_kind(value)} for a part, and it has none.", code="expression")


def _kind(value: Any) -> str:
    return "what is empty" if value is None else f"a {type(value).__name__}"


def filled(text: str, names: Mapping[str, Any]) -> Any:
    """The text with its expressions replaced. One that is nothing but an expression keeps the value's type."""
    whole = _PLACE.fullmatch(text.strip())
    if whole and "${{" not in whole[1]:
        return evaluate(whole[1], names)
    return _PLACE.sub(lambda m: _shown(evaluate(m[1], names)), text)


def length(text: str | int | float, names: Mapping[str, Any]) -> float:
    """Seconds of a length of time, which may be an expression."""
    value = filled(text, names) if isinstance(text, str) else text
    try:
        return seconds(value)
    except (ValueError, TypeError) as e:
        raise UsageError(f"{e}.", code="expression") from None


def filled_in(part: P, names: Mapping[str, Any]) -> P:
    """The same part of a file with all expressions in its texts replaced, checked anew."""
    content = _filled(msgspec.to_builtins(part), names)
    try:
        try:
            return msgspec.convert(content, type(part), strict=False)
        except msgspec.ValidationError:  # a number where a text is wanted: `tag: ${{ variables.version }}`
            return msgspec.convert(_texts(content), type(part), strict=False)
    except msgspec.ValidationError as e:
        raise UsageError(f"After filling in: {e}", code="expression") from None


def _filled(content: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(content, str):
        return filled(content, names)
    if isinstance(content, dict):
        # Expressions over what a check finds are evaluated when it is found.
        later = "expect" if "query" in content else None
        return {k: v if k == later else _filled(v, names) for k, v in content.items()}
    if isinstance(content, list):
        return [_filled(v, names) for v in content]
    return content


def _texts(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _texts(v) for k, v in content.items()}
    if isinstance(content, list):
        return [_texts(v) for v in content]
    return content if content is None or isinstance(content, str) else _shown(content)


def expressions_in(text: str) -> list[str]:
    """All `${{ … }}` in a text."""
    return _PLACE.findall(text)


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
