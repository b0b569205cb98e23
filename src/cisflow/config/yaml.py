"""YAML that remembers where each key stands, so that a message can name the file and the line."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cisflow.errors import CONTROL, CisflowError

# Several times as fast; PyYAML has it where libyaml was there when it was built, as in its wheels.
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG = "tag:yaml.org,2002:"
# What a value may be. Plain texts that YAML 1.1 takes for a merge key ('<<') or a default value ('=') stay texts.
SCALARS = {f"{TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
TEXTS = {f"{TAG}{name}" for name in ("str", "merge", "value")}
# No configuration is deeper, or repeats so much by aliases; more is a mistake or an attack.
DEEPEST, MOST_COPIES = 40, 1_000_000
UNFINISHED = object()
# What a browser takes for a tag. Snakemake puts the settings of jobs into its reports as they are.
MARKUP = re.compile(r"<[A-Za-z/!?]")


class Section(dict):
    """A mapping that knows its own key path and the file and line of each of its keys."""

    def __init__(self, path: tuple[str, ...] = ()):
        super().__init__()
        self.path = path
        self.lines: dict[str, str] = {}


def load(path: str | Path, markup: bool = False) -> Section:
    """Read a YAML file whose top level is a mapping.

    Keys are kept as they are written: a class label 1 or a motif named 'on' is a name, not a number or a truth value.
    Merge keys (`<<: *anchor`, or a list of anchors) are those of YAML 1.1: a key of the mapping itself counts before
    the ones of anchors, and an earlier anchor before a later one.

    Parameters
    ----------
    path
        The file.
    markup
        Whether texts may look like HTML, as the placeholders <...> of a profile do.

    Raises
    ------
    CisflowError
        The file is missing, is not YAML, has a key twice in one mapping, or its top level is not a mapping; it is
        nested too deeply, or contains itself or too many copies by aliases; or a text has control characters or looks
        like HTML.
    """
    try:
        return _Reader(Path(path).read_text(encoding="utf-8"), str(path), markup).document()
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise CisflowError(f"{path}: not a text file in UTF-8 ({error.reason}).") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        what = ", ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or error
        raise CisflowError(
            f"{where}: not valid YAML: {what}. Look at the indentation, and for an open bracket."
        ) from error


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=FAST)
    except yaml.YAMLError:
        # The C parser's own messages say less; what it refuses is read again for those of the Python one.
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
        raise


class _Reader:
    """Builds the value of a document from the events of the parser, which themselves are never nested."""

    def __init__(self, text: str, file: str, markup: bool):
        self.file, self.markup = file, markup
        self.events = _events(text)
        # Values by their anchors; UNFINISHED while the value is being read.
        self.anchors: dict[str, Any] = {}
        self.depth = self.copies = 0

    def document(self) -> Section:
        """Return the only document of the stream."""
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Section()
        first = next(self.events)
        value = self._value(first, ())
        next(self.events)
        further = next(self.events)
        if not isinstance(further, yaml.StreamEndEvent):
            raise self._error(further, "a second document begins here (---); write one document to a file.")
        if value is None:
            return Section()
        if not isinstance(value, Section):
            raise CisflowError(f"{self.file}: the top level must be a mapping (key: value).")
        return value

    def _error(self, event: yaml.Event, text: str) -> CisflowError:
        return CisflowError(f"{self.file}:{event.start_mark.line + 1}: {text}")

    def _value(self, event: yaml.Event, path: tuple[str, ...]) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._copy(self._anchored(event), path, event)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = value
            return value
        kind = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
        if event.tag not in (None, "!", f"{TAG}{kind}"):
            raise self._error(event, f"the tag {event.tag} has no meaning here; leave it out.")
        if event.anchor:
            self.anchors[event.anchor] = UNFINISHED
        self.depth += 1
        self._check_depth(self.depth, event)
        value = self._sequence(path) if kind == "seq" else self._section(path)
        self.depth -= 1
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _check_depth(self, depth: int, event: yaml.Event) -> None:
        if depth > DEEPEST:
            raise self._error(event, f"values are nested more than {DEEPEST} deep. Is a bracket not closed?")

    def _sequence(self, path: tuple[str, ...]) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, str(len(values)))))
        return values

    def _section(self, path: tuple[str, ...]) -> Section:
        section, merged = Section(path), None
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent):
                raise self._error(key_event, "a key must be a text.")
            if _is_merge(key_event) and merged is None:
                merged = self._merged(key_event, path)
                continue
            key, line = self._text(key_event), f"{self.file}:{key_event.start_mark.line + 1}"
            if key in section or _is_merge(key_event):
                first = section.lines.get(key)
                raise CisflowError(
                    f"{line}: the key '{key}' stands here again"
                    + (f"; it was first given at {first}." if first else "; give it a list of anchors.")
                )
            section[key] = self._value(next(self.events), (*path, key))
            section.lines[key] = line
        return _with_merged(section, merged or [])

    def _merged(self, key: yaml.ScalarEvent, path: tuple[str, ...]) -> list[Section]:
        """Return the mappings that a merge key names, the first one first."""
        event = next(self.events)
        if isinstance(event, yaml.AliasEvent) and isinstance(self._anchored(event), list):
            mappings = [self._copy(item, path, event) for item in self._anchored(event)]
        elif isinstance(event, yaml.SequenceStartEvent):
            mappings = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                mappings.append(self._value(item, path))
        else:
            mappings = [self._value(event, path)]
        if not all(isinstance(mapping, Section) for mapping in mappings):
            raise self._error(key, "'<<' merges mappings: give it an anchor of one (*name), or a list of them.")
        return mappings

    def _anchored(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self.anchors:
            raise self._error(event, f"there is no anchor &{event.anchor} before this alias.")
        value = self.anchors[event.anchor]
        if value is UNFINISHED:
            raise self._error(event, f"*{event.anchor} is in the value of its own anchor; it would have no end.")
        return value

    def _copy(self, value: Any, path: tuple[str, ...], event: yaml.AliasEvent) -> Any:
        """Return a value as it is at another path; the lines stay those of the anchor."""
        self.copies += 1
        if self.copies > MOST_COPIES:
            raise self._error(event, f"aliases repeat more than {MOST_COPIES:,} values. Do they name each other?")
        self._check_depth(len(path), event)
        if isinstance(value, list):
            return [self._copy(item, (*path, str(number)), event) for number, item in enumerate(value)]
        if not isinstance(value, Section):
            return value
        copied = Section(path)
        copied.lines |= value.lines
        for key, item in value.items():
            copied[key] = self._copy(item, (*path, key), event)
        return copied

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = self._text(event)
        tag = event.tag if event.tag not in (None, "!") else _tag(text) if event.implicit[0] else f"{TAG}str"
        if tag in TEXTS:
            return text
        if tag not in SCALARS:
            raise self._error(event, f"the tag {tag} has no meaning here; leave it out.")
        try:
            return _constructed(tag, text)
        except (ValueError, KeyError, AttributeError, yaml.YAMLError):
            raise self._error(
                event, f"{text[:40]!r} is no {tag.removeprefix(TAG)}; a text is written in quotes."
            ) from None

    def _text(self, event: yaml.ScalarEvent) -> str:
        text = event.value
        if found := CONTROL.search(text):
            raise self._error(event, f"{text[:40]!r} has the control character {found[0]!r}; leave it out.")
        if not self.markup and (found := MARKUP.search(text)):
            raise self._error(event, f"{text[:40]!r} looks like HTML ('{found[0]}'); leave it out.")
        return text


def _is_merge(event: yaml.ScalarEvent) -> bool:
    return event.value == "<<" and event.tag is None and event.implicit[0]


def _with_merged(section: Section, mappings: list[Section]) -> Section:
    """Return a mapping with the keys of others that it has not itself; those come first, as an anchor is read first."""
    if not mappings:
        return section
    whole = Section(section.path)
    for mapping in (*reversed(mappings), section):
        whole |= mapping
        whole.lines |= mapping.lines
    return whole


@functools.lru_cache(maxsize=1 << 16)
def _tag(text: str) -> str:
    """Return the tag that YAML 1.1 gives a plain text."""
    return yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))


@functools.lru_cache(maxsize=1 << 16)
def _constructed(tag: str, text: str) -> Any:
    return yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text))


def merge(base: Section, over: Section) -> Section:
    """Return `base` with the keys of `over` laid on it; mappings are merged, anything else is replaced."""
    merged = Section(over.path or base.path)
    for source in (base, over):
        for key, value in source.items():
            old = merged.get(key)
            both = isinstance(old, Section) and isinstance(value, Section)
            merged[key] = merge(old, value) if both else value
            merged.lines[key] = source.lines[key]
    return merged


def place(section: Section, path: tuple[str, ...]) -> str:
    """Return 'file:line' of the deepest key of `path` that stands in the document."""
    found, here = "", section
    for key in path:
        if isinstance(here, list) and key.isdigit() and int(key) < len(here):
            here = here[int(key)]
            found = next(iter(here.lines.values()), found) if isinstance(here, Section) else found
            continue
        if not isinstance(here, Section) or key not in here:
            break
        found, here = here.lines[key], here[key]
    return found
