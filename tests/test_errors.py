"""What a user is shown: names out of files do nothing to a terminal."""

import io
import logging
import subprocess
import sys

import pytest

from cisflow import cli
from cisflow.cli.console import VisibleConsole
from cisflow.errors import CisflowError, visible, without_secrets
from cisflow.script import VisibleFormatter

# Clears the screen, and would hide the rest; turns the text round.
NAME = "chr1\x1b[2J\r\x9b31m\u202e"
SHOWN = r"chr1\x1b[2J\r\x9b31m\u202e"


def test_control_characters_are_shown_as_their_escapes():
    assert visible(f"two\nlines\tand a tab, {NAME}, µ \u00a0é") == f"two\nlines\tand a tab, {SHOWN}, µ \u00a0é"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:hunter2@x.org:80/a.bed", "https://***@x.org:80/a.bed"),
        ("http://ada@x.org, ftp://a:b@y.org/", "http://***@x.org, ftp://***@y.org/"),
        ("https://a:p@ss@x.org/a@b", "https://***@x.org/a@b"),
        ("https://x.org/a?v=2&token=abc&w=3#here", "https://x.org/a?v=2&token=***&w=3#here"),
        ("https://x.org/a?X-Amz-Credential=AK%2F1&X-Amz-Date=2&X-Amz-Signature=ff",
         "https://x.org/a?X-Amz-Credential=***&X-Amz-Date=2&X-Amz-Signature=***"),
        ('{"url": "https://x.org/a?api_key=abc", "md5": "0"}', '{"url": "https://x.org/a?api_key=***", "md5": "0"}'),
        ("https://x.org/a?access_token=a&amp;sig=b", "https://x.org/a?access_token=***&amp;sig=***"),
        ("https://x.org/@@download/a.bed?v=1&name=b", "https://x.org/@@download/a.bed?v=1&name=b"),
        ("see https://x.org, or ask ada@x.org", "see https://x.org, or ask ada@x.org"),
        ("a?token=b is no address", "a?token=b is no address"),
    ],
)  # fmt: skip
def test_passwords_and_keys_in_addresses_are_not_shown(text, shown):
    assert without_secrets(text) == visible(text) == shown
    assert str(CisflowError(text)) == shown
    assert without_secrets(shown) == shown


def test_an_error_shows_what_it_found():
    assert str(CisflowError(f"x.bed: the contig {NAME} is unknown")) == f"x.bed: the contig {SHOWN} is unknown"


def test_a_line_of_a_log_does():
    record = logging.LogRecord("cisflow", logging.INFO, "", 0, "%s: 3 rows", (NAME,), None)
    assert VisibleFormatter("%(message)s").format(record) == f"{SHOWN}: 3 rows"


def test_the_command_line_does():
    console = VisibleConsole(file=io.StringIO(), width=200)
    console.print(f"[bold]{NAME.replace('[', '')}[/]", NAME, markup=False)
    assert "\x1b" not in console.file.getvalue()
    assert SHOWN in console.file.getvalue()


def test_an_error_of_the_command_line_is_printed_whole(monkeypatch, capsys):
    """Not as the library's markup, which has brackets too."""

    def fail():
        raise CisflowError(f"columns: [red] of [/x] {NAME}")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == f"error: columns: [red] of [/x] {SHOWN}\n"


def test_a_script_logs_it_so(tmp_path):
    code = f"import logging\nfrom cisflow.script import run\nrun(lambda: logging.info('%s', {NAME!r}))\n"
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, check=False)
    assert SHOWN.encode() in done.stderr
    assert b"\x1b" not in done.stderr
