"""The reference of pipeline keys, made from the fields themselves so that it can't drift."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from domainforge.config_faults import settings_of
from domainforge.pipeline_file import Pipeline
from domainforge.stage import Settings, shapes_output

_INTRO = """# Pipeline file

Every key that a pipeline file can hold, with its default. What is left out is written, resolved,
into `run.json`. The command line wins over the file: `--set train.epochs=2`. Unknown keys are
faults, all reported at once with their lines. Keys marked `*` can't change what a stage writes;
changing one runs nothing again.

This page is made by `python -m domainforge.reference > docs/pipeline.md`; a test compares.
"""


def pipeline_reference() -> str:
    """Return docs/pipeline.md."""
    parts = [_INTRO, *_section("", Pipeline)]
    for name, info in Pipeline.model_fields.items():
        model = settings_of(info.annotation)
        if model is not None:
            parts += [f"## {name}\n", *_section(f"{name}.", model)]
    return "\n".join(parts).rstrip() + "\n"


def _section(prefix: str, model: type[Settings]) -> list[str]:
    rows = _rows(prefix, model, nested=bool(prefix))
    if not rows:
        return ["Nothing to set.\n"]
    return ["| key | type | default | what it does |", "|---|---|---|---|", *rows, ""]


def _rows(prefix: str, model: type[Settings], *, nested: bool) -> list[str]:
    rows = []
    for name, info in model.model_fields.items():
        mark = "" if shapes_output(info) else " `*`"
        text = (info.description or "").replace("|", "\\|")
        rows.append(
            f"| `{prefix}{name}`{mark} | {_type(info.annotation)} | {_default(info)} | {text} |"
        )
        inner = settings_of(info.annotation)
        # A judge has the keys of a teacher, which stand in a section of their own.
        if nested and inner is not None and inner not in _sections():
            rows += _rows(f"{prefix}{name}.", inner, nested=True)
    return rows


def _sections() -> list[type[Settings] | None]:
    return [settings_of(info.annotation) for info in Pipeline.model_fields.values()]


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return "mapping"
    arguments = [a for a in get_args(annotation) if a is not Ellipsis]
    if get_origin(annotation) is tuple:
        return f"list of {_type(arguments[0])}"
    if get_origin(annotation) is dict:
        return "mapping"
    if arguments:
        return " or ".join("none" if a is type(None) else _type(a) for a in arguments)
    name = str(annotation.__name__)
    plain = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
    return plain.get(name, name)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "(needed)"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or isinstance(value, Settings):
        return ""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        plain = [v.model_dump(mode="json") if isinstance(v, Settings) else v for v in value]
        return f"`{json.dumps(plain, ensure_ascii=False)}`".replace("|", "\\|")
    return f"`{json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    print(pipeline_reference(), end="")
