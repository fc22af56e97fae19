"""What is wrong with a value of a config, in words: what to write, or which key was meant."""

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from domainforge.stage import Settings

KeyPath = tuple[str | int, ...]

_LEAST_LIKENESS = 0.5
# A key of another mapping must be nearer, or any word would lead somewhere.
_LEAST_LIKENESS_INSIDE = 0.8
_PREFIX_LIKENESS = 0.95
_MOST_KEYS = 12
_NO_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type", "mapping_type"})
_NO_LIST = frozenset({"tuple_type", "list_type", "set_type", "iterable_type"})
_TEXTS = {
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a finite number",
    "string_type": "write text; a number, a date, yes and no are text in quotes only: '5'",
    "string_unicode": "write text that is UTF-8",
    "string_pattern_mismatch": "write text of the form {pattern}",
    "string_too_short": "write at least {min_length} character(s)",
    "string_too_long": "write at most {max_length} characters",
    "literal_error": "write {expected}",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number of at least {ge}",
    "less_than": "write a number below {lt}",
    "less_than_equal": "write a number of at most {le}",
    "too_short": "give at least {min_length}; there are {actual_length}",
    "too_long": "give at most {max_length}; there are {actual_length}",
    "invalid_key": "write the key as text, in quotes where it is a number or a bare yes or no",
}


def explain_value(fault: Mapping[str, Any], root: type[Settings], *, secret: bool) -> str:
    """Say what to write in place of a value that can't be.

    Args:
        fault: One of Pydantic's, whose own words speak of Python.
        root: The config in which `fault["loc"]` is a place.
        secret: The value may be a pasted key, and must not come back.
    """
    kind, given = str(fault["type"]), fault.get("input")
    wanted = _annotation_at(root, tuple(fault["loc"]))
    model = settings_of(wanted)
    if kind in _NO_MAPPING:
        if model is None:
            return "write a mapping: {key: value}"
        advice = "write a mapping or leave the key out" if given is None else "write a mapping"
        if given is False and type(None) in typing.get_args(wanted):
            advice = "write null for none, or a mapping"
        return f"{advice}, for example {_example(model, given, secret=secret)}; {_list_keys(model)}"
    if kind in _NO_LIST:
        if model is not None:
            example = f"[{_example(model, given, secret=secret)}]"
            return f"write a list of mappings, for example {example}; {_list_keys(model)}"
        return f"write a list, one word each: {_example_list(given, secret=secret)}"
    text = _TEXTS.get(kind)
    if text is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    near = _near_word(wanted, given) if kind == "literal_error" else None
    return text.format(**fault.get("ctx", {})) + (f"; did you mean '{near}'?" if near else "")


def find_key(root: type[Settings], place: KeyPath) -> str | None:
    """Return the key that an unknown one most likely stands for, dotted where it lies deeper.

    A key that is right but in the wrong mapping comes before one that is spelt alike, unless that
    one is in this mapping and only an `s` off.
    """
    model = settings_of(_annotation_at(root, place[:-1]))
    if model is None:
        return None
    wanted, best, best_likeness = str(place[-1]), None, 0.0
    for path in sorted(_paths(model), key=lambda path: path.count(".")):
        likeness = _likeness(wanted, path.rpartition(".")[2])
        least = _LEAST_LIKENESS_INSIDE if "." in path else _LEAST_LIKENESS
        if path in (f"{wanted}s", wanted.removesuffix("s")):
            likeness += 1
        if likeness >= least and likeness > best_likeness:
            best, best_likeness = path, likeness
    return best


def settings_of(annotation: Any) -> type[Settings] | None:
    """Return the config class that a field holds, also inside a list or a union."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = settings_of(argument)
        if found is not None:
            return found
    return None


def _annotation_at(root: type[Settings], place: KeyPath) -> Any:
    """Return the type of what stands at a place; None where nothing is known to."""
    here: Any = root
    for part in place:
        arguments = [a for a in typing.get_args(here) if a is not type(None)]
        if typing.get_origin(here) in (typing.Union, types.UnionType) and len(arguments) == 1:
            here, arguments = arguments[0], list(typing.get_args(arguments[0]))
        if isinstance(part, int):
            here = arguments[0] if arguments else None
        elif isinstance(here, type) and issubclass(here, Settings):
            info = here.model_fields.get(part)
            here = info.annotation if info else None
        else:
            return None
    return here


def _paths(model: type[Settings]) -> Iterator[str]:
    """Yield every key of a config, those of the mappings inside it after its own."""
    yield from model.model_fields
    for name, info in model.model_fields.items():
        inner = settings_of(info.annotation)
        if inner is not None:
            kinds = (info.annotation, *typing.get_args(info.annotation))
            is_list = any(typing.get_origin(kind) is tuple for kind in kinds)
            yield from (
                f"{name}.0.{path}" if is_list else f"{name}.{path}" for path in _paths(inner)
            )


def _likeness(wanted: str, name: str) -> float:
    if wanted == name:
        return 1.0
    if name.startswith(f"{wanted}_"):
        return _PREFIX_LIKENESS
    return difflib.SequenceMatcher(None, name, wanted).ratio()


def _words(annotation: Any) -> list[str]:
    """Return the words that a field takes, where it takes only some."""
    if typing.get_origin(annotation) is typing.Literal:
        return [str(word) for word in typing.get_args(annotation)]
    return [word for argument in typing.get_args(annotation) for word in _words(argument)]


def _near_word(annotation: Any, given: Any) -> str | None:
    near = difflib.get_close_matches(str(given).lower(), _words(annotation), n=1, cutoff=0.6)
    return near[0] if near else None


def _list_keys(model: type[Settings]) -> str:
    names = list(model.model_fields)
    more = f" and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else ""
    return f"its keys: {', '.join(names[:_MOST_KEYS])}{more}" if names else "it has no keys"


def _example(model: type[Settings], given: Any, *, secret: bool) -> str:
    """Return a mapping that holds what was written, where a key takes it, else what it might."""
    fields = model.model_fields
    needed = [name for name, info in fields.items() if info.is_required()]
    choices = [needed] if needed else [[name] for name in fields]
    value = "off" if given is False else given  # YAML reads a bare `off` as false
    words = [word for info in fields.values() for word in _words(info.annotation)]
    is_shown = isinstance(value, int | float) and not isinstance(value, bool)
    if is_shown or (isinstance(value, str) and (value in words or not secret)):
        for names in choices:
            mapping = dict.fromkeys(names, value)
            try:
                model.model_validate(mapping)
            except ValidationError:
                continue
            return _flow(mapping)
    if not choices:
        return "{}"
    inside = ", ".join(f"{name}: {_placeholder(fields[name])}" for name in choices[0])
    return f"{{{inside}}}"


def _placeholder(info: FieldInfo) -> str:
    if info.annotation is bool:
        return "true"
    if isinstance(info.default, str | int | float):
        return _flow(info.default)
    inner = settings_of(info.annotation)
    if inner is not None:
        example = _example(inner, None, secret=True)
        return example if inner is info.annotation else f"[{example}]"
    words = _words(info.annotation)
    kinds = (info.annotation, *typing.get_args(info.annotation))
    if int in kinds or float in kinds:
        limits = [limit for bound in info.metadata if (limit := getattr(bound, "le", None))]
        return "0.5" if limits and min(limits) < 5 else "5"
    return words[0] if words else "..."


def _example_list(given: Any, *, secret: bool) -> str:
    if isinstance(given, str) and given and not secret:
        return _flow(given.split())
    return "[--a, '1']" if isinstance(given, str) and given.startswith("-") else "[one, two]"


def _flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    text = yaml.safe_dump([value], default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip()[1:-1]
