"""The base of all configuration models: unknown keys are errors with a suggestion, and every problem is reported."""

import difflib
import functools
import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails

from cisflow.config.yaml import Section, place
from cisflow.errors import CisflowError

# Names become parts of paths, so they are kept to characters that no shell or file system treats specially.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
# Of a file, as ENCFF001XYZ; accessions of experiments begin with ENCSR.
ACCESSION = r"^ENCFF[0-9]{3}[A-Z]{3}$"
SHA256, MD5 = "^[0-9a-f]{64}$", "^[0-9a-f]{32}$"

# Problems that are shown of a configuration.
MOST_SHOWN = 50

T = TypeVar("T")
M = TypeVar("M", bound="Strict")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _no_repeats(values: list[T]) -> list[T]:
    if len(set(values)) < len(values):
        raise ValueError(f"a value stands in the list twice: {', '.join(map(str, values))}")
    return values


# A value or a list of values; a list is a dimension of the task's grid.
Grid = Annotated[list[T], BeforeValidator(_as_list), AfterValidator(_no_repeats)]
# A value or a list of values.
Listed = Annotated[list[T], BeforeValidator(_as_list)]


class KeyProblem(ValueError):
    """A problem with a key that a validator of a section around it found; `path` leads from there to the key."""

    def __init__(self, path: tuple[str, ...], text: str):
        super().__init__(text)
        self.path = path


class Strict(BaseModel):
    """A model that reports unknown keys together with all other problems (see `validate`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> "Strict":
        # Nothing changes a model, so that all tasks share a default, which pydantic would copy for each of them.
        return self

    @model_validator(mode="before")
    @classmethod
    def _unknown_keys(cls, data: Any, info: Any) -> Any:
        # Pydantic would report the key but not what it might have meant; and it cannot know the line.
        if not isinstance(data, Section) or info.context is None:
            return data
        known = _keys_of(cls)
        unknown = [key for key in data if key not in known]
        for key in unknown:
            path = ".".join((*data.path, key))
            info.context.append(f"{data.lines[key]}: {path}: unknown key.{did_you_mean(key, known)}")
        return {key: value for key, value in data.items() if key not in unknown} if unknown else data


@functools.cache
def _keys_of(model: type[Strict]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def partial(model: type[Strict], keys: Iterable[str], name: str, about: str) -> type[Strict]:
    """Return a model of some keys of another, of which each may be left out; unset keys are null."""
    fields = {key: model.model_fields[key] for key in keys}
    optional = {
        key: (Annotated[field.annotation, Field(), *field.metadata] | None, Field(None, description=field.description))
        for key, field in fields.items()
    }
    return create_model(name, __base__=Strict, __doc__=about, **optional)


def listed(problems: Iterable[str]) -> str:
    """Return problems, a line each; the first ones, if there are very many, and the number of the others."""
    lines = [line for problem in problems for line in problem.splitlines()]
    more = len(lines) - MOST_SHOWN
    return "\n".join(lines if more <= 0 else [*lines[:MOST_SHOWN], f"... and {more:,} more problems."])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' when a known word is close to `word`, else the list of known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    close = close or [k for k in known if k[:4] == word[:4]]
    return f" Did you mean '{close[0]}'?" if close else f" Known here: {', '.join(known)}."


def validate(model: type[M], section: Section) -> M:
    """Validate a document against a model.

    Raises
    ------
    CisflowError
        One line a problem, all at once: file, line, key, what was found, what is allowed.
    """
    problems: list[str] = []
    result = None
    try:
        result = model.model_validate(section, context=problems)
    except ValidationError as error:
        problems += [_problem(detail, section) for detail in error.errors()]
    if problems or result is None:
        raise CisflowError("\n".join(sorted(set(problems), key=_line_order)))
    return result


def _line_order(problem: str) -> tuple[str, int, str]:
    match = re.match(r"(.+?):(\d+): ", problem)
    return (match[1], int(match[2]), problem) if match else ("", 0, problem)


def _problem(detail: ErrorDetails, section: Section) -> str:
    path = _document_path(detail["loc"], section, missing=detail["type"] == "missing")
    if detail["type"] == "union_tag_invalid":
        path = (*path, detail["ctx"]["discriminator"].strip("'"))
    path = (*path, *getattr(detail.get("ctx", {}).get("error"), "path", ()))
    where = place(section, path)
    return f"{where + ': ' if where else ''}{'.'.join(path)}: {message(detail)}"


def _document_path(loc: tuple, section: Section, missing: bool) -> tuple[str, ...]:
    """Drop from a location what is not in the document: tags of unions, and the index of a scalar in a grid."""
    path: list[str] = []
    here: Any = section
    for step, part in enumerate(loc):
        if isinstance(here, dict) and str(part) in here:
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (missing and step == len(loc) - 1):
            continue
        path.append(str(part))
    return tuple(path)


# What is said where a value is of another kind.
EXPECTED = {
    "string_type": "{} is not a text; if it is meant to be one, write it in quotes.",
    "list_type": "{0} is not a list; write [{0}].",
    "dict_type": "{} is not a section of keys (key: value).",
    "model_type": "{} is not a section of keys (key: value).",
}
# By pattern, what a text is that does not match it.
UNLIKE = {
    NAME: "cannot be a name: use letters, digits, '_', '.', '-', at most 64, the first a letter or digit.",
    SHA256: "is no SHA-256 checksum, 64 hexadecimal digits.",
    MD5: "is no MD5 checksum, 32 hexadecimal digits.",
    ACCESSION: "is no accession of a file at ENCODE, as ENCFF001ABC (ENCSR... is an experiment: name its files).",
}


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def message(detail: ErrorDetails) -> str:
    """Return what one of pydantic's problems says, for people: what was found and what is allowed."""
    found, context = detail.get("input"), detail.get("ctx", {})
    kind = detail["type"]
    if kind == "missing":
        return "this key is needed and is not given."
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = re.findall(r"'([^']*)'", context.get("expected", "") or context.get("expected_tags", ""))
        value = context.get("tag", found)
        return f"{value!r} is not one of {', '.join(allowed)}.{_close(value, allowed)}"
    if kind == "union_tag_not_found":
        return f"the key {context.get('discriminator')} is needed and is not given."
    if kind in EXPECTED:
        return EXPECTED[kind].format(_shown(found))
    if kind == "string_pattern_mismatch":
        return f"{found!r} {UNLIKE.get(context['pattern']) or 'does not match the pattern ' + context['pattern']}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    return f"{found!r}: {detail['msg'][:1].lower()}{detail['msg'][1:]}."


def _close(value: Any, allowed: list[str]) -> str:
    hint = did_you_mean(str(value), allowed)
    return hint if "Did you mean" in hint else ""
