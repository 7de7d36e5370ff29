"""Tests by name, for tables that say what is proved where: a name is `folder/test_file.py::test_name`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def absent(names: Iterable[str]) -> list[str]:
    """Return those of the names under which there is no test."""
    return [name for name in names if name.partition("::")[2] not in _tests(name.partition("::")[0])]


def names(path: str) -> frozenset[str]:
    """Return the names of a file's tests."""
    return frozenset(name for name in _tests(path) if name.startswith("test_"))


@cache
def _tests(path: str) -> frozenset[str]:
    if not (file := HERE / path).is_file():
        return frozenset()
    found = ast.parse(file.read_text()).body
    return frozenset(one.name for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
