"""Naming a model in the settings file: only the values that change are written, every comment stays."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from antiphon.configuration import SettingsError, load
from antiphon.settings import PREFIX
from antiphon_daemon.engines.models import Model


class EditError(Exception):
    """The settings file cannot be edited; the message says why, and what to write by hand."""


def wanted(model: Model) -> dict[str, str]:
    """Return what the section of the model's stage has to say."""
    return {"engine": model.engine, "voice" if model.stage == "tts" else "model": model.name}


def use(model: Model, path: Path) -> None:
    """Name `model` in the settings file, which is made if there is none.

    Raises:
        EditError: the file cannot be read or written, or its form leaves no place for it.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        text = path.read_bytes().decode("utf-8") if path.exists() else ""
        edited = edit(text, model.stage, wanted(model))
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(edited.encode("utf-8"))
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        try:
            load(str(draft))
        except SettingsError as error:
            draft.unlink()
            raise EditError(f"{model.name} cannot be used: {str(error).replace(str(draft), str(path))}") from None
        draft.replace(path.resolve())
    except UnicodeDecodeError as error:
        raise EditError(f"{path} cannot be edited: {error}") from None
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()  # a full disk leaves half of one
        raise EditError(f"{path} cannot be edited, and is as it was: {error.strerror}") from None


def overridden(model: Model) -> list[str]:
    """Return the environment's variables that are stronger than the file."""
    names = {f"{PREFIX}{model.stage}__{key}".upper() for key in wanted(model)}
    return sorted(name for name in os.environ if name.upper() in names)


def edit(text: str, section: str, values: Mapping[str, str]) -> str:
    """Return a settings file in which `section` has `values`; all else is as it was, to the letter.

    Raises:
        EditError: it is no YAML, or the section is a list.
    """
    try:
        before = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise EditError(f"The settings file is not YAML: {' '.join(str(error).split())}") from None
    edited = _edited(text, section, values)
    try:
        after = yaml.safe_load(edited)
    except yaml.YAMLError:
        after = None
    there = before.get(section) if isinstance(before, dict) else None
    if not isinstance(before, dict) or after != {
        **before,
        section: {**(there if isinstance(there, dict) else {}), **values},
    }:  # anchors, say
        raise EditError(f"The settings file has an unusual form: write into it yourself:\n{_section(section, values)}")
    return edited.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in text else edited


def _edited(text: str, section: str, values: Mapping[str, str]) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return f"{text.rstrip()}\n\n{_section(section, values)}".lstrip("\n")
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise EditError(f"The settings file has an unusual form: write into it yourself:\n{_section(section, values)}")
    found = next(((key, value) for key, value in root.value if key.value == section), None)
    if found is None:
        return f"{text.rstrip()}\n\n{_section(section, values)}"
    key, node = found
    if isinstance(node, yaml.SequenceNode):
        raise EditError(
            f"{section} is a list there: put {{{', '.join(f'{k}: {v}' for k, v in values.items())}}} where it belongs."
        )
    if isinstance(node, yaml.ScalarNode):  # `llm: ollama`, or nothing
        flow = f" {{{', '.join(f'{k}: {_scalar(v)}' for k, v in values.items())}}}"
        return text[: key.end_mark.index] + ":" + flow + text[max(node.end_mark.index, key.end_mark.index + 1) :]
    return _into(text, node, values)


def _into(text: str, node: yaml.MappingNode, values: Mapping[str, str]) -> str:
    """Change values from the last to the first, so that the places of those before stay right; then add new ones."""
    there = {key.value: value for key, value in node.value}
    changed = [(there[name], value) for name, value in values.items() if name in there]
    for old, value in sorted(changed, key=lambda one: one[0].start_mark.index, reverse=True):
        text = _replace(text, old, value)
    added = [f"{name}: {_scalar(value)}" for name, value in values.items() if name not in there]
    if not added:
        return text
    start = node.start_mark.index
    if node.flow_style:
        return text[: start + 1] + ", ".join(added) + (", " if node.value else "") + text[start + 1 :]
    return text[:start] + "".join(f"{one}\n{' ' * node.start_mark.column}" for one in added) + text[start:]


def _replace(text: str, old: yaml.Node, value: str) -> str:
    """Put `value` in the place of a node; a comment behind it stays in its column where there is room."""
    start, end = old.start_mark.index, old.end_mark.index
    if start == end:  # nothing stands there
        return f"{text[:start]} {_scalar(value)}{text[end:]}"
    new, behind = _scalar(value), text[end:]
    spaces = re.match(" +(?=#)", behind)
    if spaces:
        room = len(spaces[0]) + (end - start) - len(new)
        behind = " " * max(1, room) + behind[len(spaces[0]) :]
    return text[:start] + new + behind


def _section(section: str, values: Mapping[str, str]) -> str:
    return f"{section}:\n" + "".join(f"  {name}: {_scalar(value)}\n" for name, value in values.items())


def _scalar(value: str) -> str:
    return value if re.fullmatch(r"[A-Za-z][\w.-]*", value) and yaml.safe_load(value) == value else json.dumps(value)
