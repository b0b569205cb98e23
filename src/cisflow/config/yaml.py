"""YAML that remembers where each key stands, so that a message can name the file and the line."""

from pathlib import Path
from typing import Any

import yaml

from cisflow.errors import CisflowError

# Several times as fast; PyYAML has it where libyaml was there when it was built, as in its wheels.
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXT = "tag:yaml.org,2002:str"


class Section(dict):
    """A mapping that knows its own key path and the file and line of each of its keys."""

    def __init__(self, path: tuple[str, ...] = ()):
        super().__init__()
        self.path = path
        self.lines: dict[str, str] = {}


def load(path: str | Path) -> Section:
    """Read a YAML file whose top level is a mapping.

    Raises
    ------
    CisflowError
        The file is missing, is not YAML, has a key twice in one mapping, or its top level is not a mapping.
    """
    try:
        node = _compose(Path(path).read_text())
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
    if node is None:
        return Section()
    if not isinstance(node, yaml.MappingNode):
        raise CisflowError(f"{path}: the top level must be a mapping (key: value).")
    return _value(node, (), str(path))


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=FAST)
    except yaml.YAMLError:
        # The C parser's own messages say less; what it refuses is read again for those of the Python one.
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _value(node: yaml.Node, path: tuple[str, ...], file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _section(node, path, file)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, str(index)), file) for index, item in enumerate(node.value)]
    return _scalar(node)


def _section(node: yaml.MappingNode, path: tuple[str, ...], file: str) -> Section:
    section = Section(path)
    for key_node, value_node in node.value:
        # Keys are kept as they are written: a class label 1 or a motif named 'on' is a name, not a number or a truth.
        key, place = str(key_node.value), f"{file}:{key_node.start_mark.line + 1}"
        if key in section:
            raise CisflowError(
                f"{place}: the key '{key}' stands here again; it was first given at {section.lines[key]}."
            )
        section[key] = _value(value_node, (*path, key), file)
        section.lines[key] = place
    return section


def _scalar(node: yaml.Node) -> Any:
    return node.value if node.tag == TEXT else yaml.constructor.SafeConstructor().construct_object(node, deep=True)


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
