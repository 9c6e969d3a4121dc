"""`${{ … }}` in texts, and the expressions of `when` and `expect`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tagback.errors import UsageError

_PLACE = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.S)
_FUNCTIONS = {"len": len, "int": int, "float": float, "str": str, "min": min, "max": max, "abs": abs, "round": round}

P = TypeVar("P")


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression. UsageError if it isn't one, or if it names what isn't there."""
    try:
        import simpleeval
    except ImportError:
        raise UsageError(
            "Pipelines need the package simpleeval.", code="package_missing", hint="pip install 'tagback[pipeline]'"
        ) from None
    found = _PLACE.fullmatch(expression.strip())
    text = found[1] if found and "${{" not in found[1] else expression
    constants = {"true": True, "false": False, "null": None, "none": None}
    evaluator = simpleeval.EvalWithCompoundTypes(functions=dict(_FUNCTIONS), names={**constants, **names})
    try:
        return evaluator.eval(text)
    except (
        simpleeval.InvalidExpression,
        SyntaxError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    ) as e:
        known = ", ".join(sorted(names))
        raise UsageError(
            f"The expression `{text}` has no value: {' '.join(str(e).split())}",
            code="expression",
            hint=f"Known here: {known}.",
        ) from None


def filled(text: str, names: Mapping[str, Any]) -> Any:
    """The text with its expressions replaced. One that is nothing but an expression keeps the value's type."""
    whole = _PLACE.fullmatch(text.strip())
    if whole and "${{" not in whole[1]:
        return evaluate(whole[1], names)
    return _PLACE.sub(lambda m: _shown(evaluate(m[1], names)), text)


def filled_in(part: P, names: Mapping[str, Any]) -> P:
    """The same part of a file with all expressions in its texts replaced, checked anew."""
    content = _filled(msgspec.to_builtins(part), names)
    try:
        return msgspec.convert(content, type(part), strict=False)
    except msgspec.ValidationError as e:
        raise UsageError(f"After filling in: {e}", code="expression") from None


def _filled(content: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(content, str):
        return filled(content, names)
    if isinstance(content, dict):
        # Expressions over what a check finds are evaluated when it is found.
        return {k: v if k in ("expect", "when", "steps") else _filled(v, names) for k, v in content.items()}
    if isinstance(content, list):
        return [_filled(v, names) for v in content]
    return content


def expressions_in(content: Any) -> list[str]:
    """All `${{ … }}` in a part of a file."""
    if isinstance(content, str):
        return _PLACE.findall(content)
    if isinstance(content, dict):
        return [e for v in content.values() for e in expressions_in(v)]
    if isinstance(content, list):
        return [e for v in content for e in expressions_in(v)]
    return []


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
