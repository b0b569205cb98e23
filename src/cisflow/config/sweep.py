"""Sweeps: keys below some sections of a task, each under its dotted path and with a list of values."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, create_model, model_serializer
from pydantic.fields import FieldInfo

from cisflow.config.strict import Grid, Strict


class Lists(Strict):
    """Lists of values by dotted key; the keys are fields, so that each value is checked as the key itself is."""

    @model_serializer
    def given(self) -> dict[str, list[Any]]:
        """Return the lists that are given, by dotted key."""
        lists = {field.alias: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {key: values for key, values in lists.items() if values}


def sweep_of(sections: Mapping[str, type[Strict]], without: Collection[str]) -> type[Lists]:
    """Return the model of a sweep over the keys of some sections.

    Parameters
    ----------
    sections
        Model of each section by its name, which begins the dotted keys.
    without
        Dotted keys that cannot be swept.
    """
    keys = {key: field for name, section in sections.items() for key, field in _keys(section, name)}
    fields = {key.replace(".", "__"): _list_of(key, field) for key, field in keys.items() if key not in without}
    return create_model("Sweep", __base__=Lists, __doc__="Keys with lists of values; see `Task`.", **fields)


def _keys(model: type[Strict], path: str) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys of a model that hold values, with their dotted paths; sections within it are gone into."""
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        kinds = (field.annotation, *get_args(field.annotation))  # a section may be optional
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Strict)), None)
        if inner:
            yield from _keys(inner, key)
        else:
            yield key, field


def _list_of(key: str, field: FieldInfo) -> tuple[Any, Any]:
    value = Annotated[field.annotation, Field(), *field.metadata]
    # A key that is a grid takes a list by itself.
    values = value if Grid.__metadata__[0] in field.metadata else Grid[value]
    # No list, which is not a list that a user can give, means that the key is not in the sweep.
    options = {"default_factory": list, "validate_default": False, "min_length": 1}
    return values, Field(alias=key, description=field.description, **options)


def lay(settings: dict[str, Any], path: str, value: Any) -> None:
    """Set the value of a dotted key in nested settings, in place; a section that is off (null) is switched on."""
    *sections, key = path.split(".")
    for section in sections:
        settings[section] = settings = settings[section] or {}
    settings[key] = value


def run_name(point: Mapping[str, Any], grid: Mapping[str, list[Any]]) -> str:
    """Return the name of a point of a grid: architecture, activation, and each further key that has several values.

    A head has no activation, and not every key of the grid.
    """
    label, first = _labels(grid), ("model.name", "model.activation")
    further = [key for key in grid if key in point and key not in first and len(grid[key]) > 1]
    parts = [f"{label[key]}-{_text(point[key])}" for key in further]
    return "_".join([*(point[key] for key in first if key in point), *parts])


def _labels(grid: Mapping[str, list[Any]]) -> dict[str, str]:
    """Return what stands for each dotted key: its last part, or all below its section where two share the last."""
    last = [key.rpartition(".")[2] for key in grid]
    return {
        key: short if last.count(short) == 1 else key.partition(".")[2] for key, short in zip(grid, last, strict=True)
    }


def _text(value: Any) -> str:
    """Return a value in the shortest digits that are this number and no other, or in YAML's words."""
    if isinstance(value, tuple):
        return "-".join(map(_text, value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
