"""Every broken input gets its message, and nothing half-written is left; what is tolerated is counted, or reads alike.

The cases are in cases.py. `python -m tests.corpus.test_corpus` writes docs/bad-input.md again.
"""

from pathlib import Path

import pytest
from tests.corpus import entries
from tests.corpus.cases import CASES, TABLES, Case, Content

from cisflow.errors import CisflowError

PAGE = "docs/bad-input.md"
OF_SERVERS = (entries.fetched, entries.limited)


def write(folder: Path, name: str, content: Content | None) -> Path:
    folder.mkdir(exist_ok=True)
    content = content(folder) if callable(content) else content
    if content is not None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def come(folder: Path, case: Case, request) -> entries.Came:
    """Write the files of a case, and let them in."""
    given, *_ = [write(folder, name, content) for name, content in case.files.items()]
    settings = dict(case.settings)
    if case.entry in OF_SERVERS:
        server = request.getfixturevalue("server")
        server.data = given.read_bytes()
        for key, value in settings.pop("server", {}).items():
            setattr(server, key, value)
        return case.entry(folder, server, **settings)
    return case.entry(folder, **settings) if case.entry is entries.configured else case.entry(folder, given, **settings)


def out_of(folder: Path) -> list[str]:
    """Return what is below `out`, hidden files too."""
    return sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_broken_input(tmp_path, case, request):
    folder = tmp_path / "given"
    if case.error is None:
        values, told = come(folder, case, request)
        assert not [name for name in out_of(folder) if "partial" in name or name.endswith(".part")]
    if case.error is not None:
        with pytest.raises(CisflowError) as error:
            come(folder, case, request)
        assert case.error in str(error.value).replace(f"{folder}/", "")
        assert out_of(folder) == sorted(case.leaves)
    elif case.counted is not None:
        assert case.counted in told
    else:
        sound = Case("", case.entry, {**case.files, list(case.files)[-1]: case.accepted}, settings=case.settings)
        assert values == come(tmp_path / "sound", sound, request)[0]


def page() -> str:
    """Return the page of the documentation."""
    lines = [
        "# Bad input",
        "",
        "What is wrong with a file, and what comes of it: an error, with a part of its message; a number in an account",
        "or a log; or nothing, where the file says the same as a sound one. After an error there is no output, and",
        "nothing half-written but what is named. Each line is a test in `tests/corpus`, which writes this page",
        "(`python -m tests.corpus.test_corpus`).",
    ]
    for heading, (given, cases) in TABLES.items():
        lines += ["", f"## {heading}", "", f"Given to {given}.", "", "| input | what happens |", "|---|---|"]
        lines += [f"| {case.what} | {_happens(case)} |" for case in cases]
    return "\n".join(lines) + "\n"


def _happens(case: Case) -> str:
    if case.error is not None:
        left = f"; {' and '.join(case.leaves)} stays" if case.leaves else ""
        return f"error: `{case.error.replace('|', '/')}`{left}"
    return "read as the sound file" if case.accepted is not None else f"counted: `{_words(case.counted)}`"


def _words(text: str) -> str:
    return " ".join(text.split())


def test_the_page_is_that_of_the_cases(root):
    assert len(CASES) >= 45
    assert (root / PAGE).read_text() == page()


if __name__ == "__main__":
    (entries.ROOT / PAGE).write_text(page())
