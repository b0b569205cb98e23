"""YAML of configuration files: merge keys with their lines; what nests, loops or explodes is answered at once."""

import time

import pytest
import yaml

from cisflow.config.yaml import DEEPEST, load, place
from cisflow.errors import CisflowError
from tests.limits import CPU_LIMIT


def read(tmp_path, text, **more):
    (tmp_path / "f.yaml").write_text(text)
    return load(tmp_path / "f.yaml", **more)


def problem(tmp_path, text):
    with pytest.raises(CisflowError) as error:
        read(tmp_path, text)
    return str(error.value)


MERGES = {
    "an anchor": "base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n",
    "the own key first": "base: &b {x: 1, y: 2}\nmine: {y: 3, <<: *b}\n",
    "a list": "one: &a {x: 1, y: 1}\ntwo: &b {y: 2, z: 2}\nmine: {<<: [*a, *b], z: 3}\n",
    "a merge of a merge": "one: &a {x: 1}\ntwo: &b {<<: *a, y: 2}\nmine: {<<: *b}\n",
    "a mapping itself": "mine: {<<: {x: 1, y: 2}, y: 3}\n",
    "not deep": "base: &b {sub: {x: 1}}\nmine: {<<: *b, sub: {y: 2}}\n",
    "in a list": "base: &b {x: 1}\nmine: [{<<: *b, y: 2}, *b]\n",
    "a list with an anchor": "one: &a {x: 1}\nall: &all [*a, {y: 2}]\nmine: {<<: *all}\n",
    "in quotes it is a key": "mine: {'<<': 1}\n",
    "as a value it is a text": "mine: <<\n",
}


@pytest.mark.parametrize("name", MERGES)
def test_merge_keys_are_those_of_yaml(tmp_path, name):
    found, wanted = read(tmp_path, MERGES[name]), MERGES[name]
    # PyYAML itself has no value for '<<' that is no key.
    assert found == ({"mine": "<<"} if name == "as a value it is a text" else yaml.safe_load(wanted))


def test_a_key_that_is_merged_has_the_line_of_its_anchor_and_the_path_of_its_place(tmp_path):
    text = "base: &b\n  x: 1\n  sub:\n    y: 2\nmine:\n  <<: [*b]\n  z: 3\n"
    document = read(tmp_path, text)
    assert place(document, ("mine", "x")).endswith("f.yaml:2")
    assert place(document, ("mine", "sub", "y")).endswith("f.yaml:4")
    assert place(document, ("mine", "z")).endswith("f.yaml:7")
    assert document["mine"]["sub"].path == ("mine", "sub")
    assert document["base"]["sub"].path == ("base", "sub")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a 1\nb: {<<: *a}\n", "f.yaml:2: '<<' merges mappings: give it an anchor of one"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "f.yaml:4: the key '<<' stands here again; give it a list"),
        ("a: {<<: *b}\n", "f.yaml:1: there is no anchor &b before this alias"),
        ("a: {x: 1}\nb: {[1, 2]: 3}\n", "f.yaml:2: a key must be a text"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here"),
        ("a: 2001-99-99\n", "f.yaml:1: '2001-99-99' is no timestamp; a text is written in quotes"),
        ("a: !!int x\n", "f.yaml:1: 'x' is no int"),
        ("a: !!bool x\n", "f.yaml:1: 'x' is no bool"),
        ("a: " + "9" * 5000 + "\n", "f.yaml:1: '9999999999999999999999999999999999999999' is no int"),
        ("a: !!python/object/apply:os.system [ls]\n", "the tag tag:yaml.org,2002:python/object/apply:os.system has no"),
        ("a: !!python/name:os.system\n", "the tag tag:yaml.org,2002:python/name:os.system has no"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, words):
    assert words in problem(tmp_path, text)


LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40)
)
CHAIN = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 5000))
ATTACKS = {
    "nested lists": ("a: " + "[" * 200_000, "nested more than"),
    "nested mappings": ("{a: " * 200_000, "nested more than"),
    "nested merges": ("a: " + "{<<: " * 200_000, "nested more than"),
    "nested blocks": ("".join(" " * n + "a:\n" for n in range(2000)), "nested more than"),
    "aliases in aliases": (CHAIN, "nested more than"),
    "a billion laughs": (LAUGHS, "aliases repeat more than 1,000,000 values"),
    "laughs by merge keys": (LAUGHS.replace("[", "{b: [").replace("]", "]}"), "aliases repeat more than"),
    "a list in itself": ("a: &a [1, *a]\n", "it would have no end"),
    "a mapping in itself": ("a: &a {b: {c: *a}}\n", "it would have no end"),
    "a merge of itself": ("a: &a\n  <<: *a\n", "it would have no end"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_nests_loops_or_explodes_is_answered_at_once(tmp_path, name):
    text, words = ATTACKS[name]
    started = time.process_time()
    assert words in problem(tmp_path, text)
    # What does not end takes minutes, or all memory; this one counts to a million.
    assert time.process_time() - started < CPU_LIMIT


def test_what_is_as_deep_as_allowed_is_read(tmp_path):
    assert read(tmp_path, "a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1))


def test_control_characters_and_html_are_refused_and_placeholders_of_a_profile_are_not(tmp_path):
    assert "f.yaml:2: 'x\\x1b[31m' has the control character '\\x1b'" in problem(tmp_path, 'a: 1\nb: "x\\e[31m"\n')
    assert "f.yaml:1: 'a\\u202e' has the control character '\\u202e'" in problem(tmp_path, '"a\\u202e": 1\n')
    assert "f.yaml:1: '</script><b>' looks like HTML ('</')" in problem(tmp_path, "a: </script><b>\n")
    assert read(tmp_path, "a: <account>\n", markup=True) == {"a": "<account>"}
    assert read(tmp_path, 'a: "1 < 2, two\\nlines\\tand a tab, µ"\n') == {"a": "1 < 2, two\nlines\tand a tab, µ"}
