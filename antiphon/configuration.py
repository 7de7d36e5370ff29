"""Where the settings come from: the file, the environment, files of secrets; and what is said when one is wrong.

Strongest first: `ANTIPHON__SECTION__KEY` variables, `ANTIPHON__SECTION__KEY_FILE` (a file that holds the value), the
YAML file, the defaults. A wrong value raises `SettingsError`, whose message names the file, the line, the key and what
was expected.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

import platformdirs
import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError as SourceError

from antiphon.places import at_home, stamp
from antiphon.settings import PREFIX, Settings, as_chain, keys

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this package runs from (an editable install), where `config.yaml` is shipped."""


class SettingsError(Exception):
    """The settings cannot be used; each line of the message is one sentence about one value."""


def locate(explicit: str | None = None) -> Path | None:
    """Return the file to read: the one named, `ANTIPHON_CONFIG`, the user's, the system's, or the shipped one."""
    named = explicit or os.environ.get("ANTIPHON_CONFIG")
    if named:
        return at_home(named)
    places = (
        Path(platformdirs.user_config_dir("antiphon")) / "config.yaml",
        Path("/etc/antiphon/config.yaml"),
        ROOT / "config.yaml",
    )
    return next((place for place in places if _is_file(place)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that this user may not look into
        return False


Look: TypeAlias = tuple[str, int, int, int] | None
"""Which file it is, and what its content, and who may read it, are known by; None: there is none."""


@dataclass(frozen=True)
class Source:
    """Where a program's settings come from."""

    config: str | None
    """The file that was named on the command line."""
    seen: Look
    """What the file looked like before it was read."""

    @classmethod
    def at(cls, config: str | None) -> Source:
        """Look at what `load(config)` is about to read."""
        return cls(config, look(config))


def look(explicit: str | None) -> Look:
    """Return what is to be seen of the settings file."""
    path = locate(explicit)
    found = stamp(path) if path is not None else None
    return (str(path), *found) if found is not None else None


def load(explicit: str | None = None) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong.
    """
    path = locate(explicit)
    document: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    if path is not None:
        document, lines = _read(path)
    secrets = dict(_secret_variables())
    _refuse_unknown_variables()
    _merge(document, secrets)
    try:
        return Settings(**document)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, path, lines))) from None
    except SourceError as error:  # a variable that is not JSON where it must be
        raise SettingsError("\n".join(_not_json()) or f"environment: {error}") from None


def state_dir() -> Path:
    """Return the folder for what must outlive a restart (names, identities), made if need be and if it can be.

    Where it cannot, nothing is kept and everything works: who writes there must expect an `OSError`.
    """
    path = Path(os.environ.get("ANTIPHON_STATE") or platformdirs.user_state_dir("antiphon"))
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not a text file (UTF-8)") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter: a date that there is not, such as 2024-99-99
        raise SettingsError(f"{path}: is not YAML: {error}") from None
    if document is None:
        return {}, {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}:1: expected sections such as `stt:`, got {type(document).__name__}")
    lines: dict[tuple[str, ...], int] = {}
    for at, line in _lines(node, ()):
        if at in lines:  # YAML takes the last, and nothing tells that the first is not in force
            says = f"{'.'.join(at)} stands there twice, first in line {lines[at]}: put both into one"
            raise SettingsError(f"{path}:{line}: {says}")
        lines[at] = line
    _refuse_odd_keys(document, path)
    if isinstance(document.get("llm"), (list, str)):
        document["llm"] = as_chain(document["llm"])
        lines = {_in_chain(at): line for at, line in lines.items()}
    _leave_out_empty(document, Settings)
    _read_secret_files(document, Settings, path, lines, ())
    return document, lines


def _refuse_odd_keys(section: object, path: Path) -> None:
    """Refuse names that YAML does not read as text: `on`, `yes`, `1`."""
    if isinstance(section, dict):
        for key, value in section.items():
            if not isinstance(key, str):
                raise SettingsError(f"{path}: expected the name of a setting, got {key!r} (YAML's reading of it)")
            _refuse_odd_keys(value, path)


def _leave_out_empty(section: dict[str, Any], model: type[BaseModel]) -> None:
    """Take away sections and lists that hold nothing, such as those of which all lines are commented out."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if name in section and section[name] is None and isinstance(default, (BaseModel, list, dict)):
            del section[name]
        elif isinstance(section.get(name), dict) and isinstance(default, BaseModel):
            _leave_out_empty(section[name], type(default))
        elif isinstance(section.get(name), list) and (inner := _section_of(field.annotation)):
            for one in section[name]:
                if isinstance(one, dict):
                    _leave_out_empty(one, inner)


def _lines(node: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*at, str(index))
            yield here, value.start_mark.line + 1
            yield from _lines(value, here)


def _in_chain(at: tuple[str, ...]) -> tuple[str, ...]:
    """Return where `as_chain` puts what stands at `at` in a list of language models."""
    if at[:1] != ("llm",) or len(at) == 1:
        return at
    place = int(at[1])
    return ("llm", *at[2:]) if place == 0 else ("llm", "fallback", str(place - 1), *at[2:])


def _read_secret_files(
    section: dict[str, Any],
    model: type[BaseModel],
    path: Path,
    lines: Mapping[tuple[str, ...], int],
    at: tuple[str, ...],
) -> None:
    """Replace `x_file: PATH` by `x: what the file holds` wherever x is a secret."""
    for name, field in model.model_fields.items():
        value = section.get(name)
        default = field.get_default(call_default_factory=True)
        if isinstance(value, dict) and isinstance(default, BaseModel):
            _read_secret_files(value, type(default), path, lines, (*at, name))
        if isinstance(value, list) and (inner := _section_of(field.annotation)):
            for index, one in enumerate(value):
                if isinstance(one, dict):
                    _read_secret_files(one, inner, path, lines, (*at, name, str(index)))
        if SecretStr in getattr(field.annotation, "__args__", ()) and f"{name}_file" in section:
            source = at_home(str(section.pop(f"{name}_file")))
            line = lines.get((*at, f"{name}_file"), 1)
            section[name] = _secret(source, f"{path}:{line}: {'.'.join((*at, name))}_file")


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a setting is a list of, if it is one."""
    inner = next(iter(get_args(annotation)), None)
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _secret(source: Path, who: str) -> str:
    try:
        value = source.read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{who}: {source} cannot be read: {getattr(error, 'strerror', error)}") from None
    if len(value.splitlines()) > 1:
        raise SettingsError(f"{who}: {source} holds more than one line: leave the value alone in it")
    return value


def _secret_variables() -> Iterator[tuple[tuple[str, ...], str]]:
    known = {path for path, _ in keys()}
    for variable, value in os.environ.items():
        path = _path_of(variable.removesuffix("_FILE")) if variable.upper().endswith("_FILE") else ()
        if path and path in known:
            yield path, _secret(at_home(value), variable)


def _refuse_unknown_variables() -> None:
    """A variable with our prefix that names no setting is a typing error, and is said to be one."""
    known = {path for path, _ in keys()}
    for variable in os.environ:
        path = _path_of(variable)
        whole = path and (path in known or any(key[: len(path)] == path for key in known))
        if path and not whole and _path_of(variable.removesuffix("_FILE")) not in known:
            names = [PREFIX + "__".join(key).upper() for key in known]
            raise SettingsError(f"environment: {variable} is no setting{_nearest(variable.upper(), names)}")


def _not_json() -> Iterator[str]:
    """Name the variables that hold no JSON where a list or a section has to be."""
    known = dict(keys())
    for variable, value in os.environ.items():
        path = _path_of(variable)
        section = path not in known and any(key[: len(path)] == path for key in known)
        if not path or not (section or isinstance(known.get(path), list | dict)):
            continue
        try:
            json.loads(value)
        except ValueError:
            like = '{"name": "value"}' if section or isinstance(known[path], dict) else '["one", "two"]'
            yield f"environment: {variable}: expected JSON, such as {like}"


def _path_of(variable: str) -> tuple[str, ...]:
    if not variable.upper().startswith(PREFIX):
        return ()
    return tuple(variable[len(PREFIX) :].lower().split("__"))


def _merge(document: dict[str, Any], values: Mapping[tuple[str, ...], Any]) -> None:
    for path, value in values.items():
        section = document
        for name in path[:-1]:
            inner = section.get(name)
            if not isinstance(inner, dict):
                inner = section[name] = {}
            section = inner
        section[path[-1]] = value


def _sentences(error: ValidationError, path: Path | None, lines: Mapping[tuple[str, ...], int]) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        at = tuple(str(part) for part in fault["loc"])
        dotted = ".".join(at)
        variable = PREFIX + "__".join(at).upper()
        where = variable if variable in {name.upper() for name in os.environ} else _where(path, lines, at)
        if fault["type"] == "extra_forbidden":
            section = at[:-1] if at[:2] != ("llm", "fallback") else at[:1]
            names = [key[len(section)] for key, _ in keys() if key[: len(section)] == section != key]
            yield f"{where}: {dotted} is no setting{_nearest(at[-1], names)}"
        else:
            expected = fault["msg"].removeprefix("Value error, ")
            expected = expected.replace("Input should be", "expected").replace(
                "String should", "expected text that should"
            )
            yield f"{where}: {dotted}: {expected}{_got(at, fault['input'])}"


def _got(at: tuple[str, ...], value: object) -> str:
    """Return what stands there instead; not what is secret, nor a section, which may hold secrets."""
    if isinstance(value, (dict, list)) or {"api_key", "token", "headers", "body"} & set(at):
        return ""
    return f", got {value!r}"


def _where(path: Path | None, lines: Mapping[tuple[str, ...], int], at: tuple[str, ...]) -> str:
    for length in range(len(at), 0, -1):
        if at[:length] in lines:
            return f"{path}:{lines[at[:length]]}"
    return str(path) if path else "settings"


def _nearest(word: str, names: list[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""
