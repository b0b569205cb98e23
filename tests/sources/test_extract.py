"""One file comes out of an archive, whole or not at all."""

import io
import os
import tarfile

import pytest

from cisflow.errors import CisflowError
from cisflow.sources.extract import extract

DATA = os.urandom(3_000_000)


def pack(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("member", ["train.mat", "deepsea/train.mat", "bundle/deepsea/train.mat"])
def test_a_member_is_found_whatever_folder_it_is_in(tmp_path, mode, member):
    archive = pack(tmp_path / "a.tar", {"bundle/nottrain.mat": b"no", "bundle/deepsea/train.mat": DATA}, mode)
    assert extract(archive, member, tmp_path / "out" / "x.mat") == len(DATA)
    assert (tmp_path / "out" / "x.mat").read_bytes() == DATA
    assert os.listdir(tmp_path / "out") == ["x.mat"]


def test_a_missing_member_is_said_with_what_is_there(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", {"b/valid.mat": b"", "b/test.mat": b""})
    with pytest.raises(CisflowError, match="there is no file 'train.mat' in it. There are: b/valid.mat, b/test.mat"):
        extract(archive, "train.mat", tmp_path / "x.mat")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:1_000_000], lambda data: b"<html>", lambda data: b"", lambda data: data[:700]]
)
def test_an_archive_that_is_not_whole_leaves_nothing(tmp_path, damage):
    archive = pack(tmp_path / "a.tar.gz", {"train.mat": DATA})
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(CisflowError, match=r"a.tar.gz: it is not a whole tar archive \(.+\). Delete it, and"):
        extract(archive, "train.mat", tmp_path / "out" / "x.mat")
    assert list(tmp_path.glob("out/*")) == []


def test_a_missing_archive_is_said(tmp_path):
    with pytest.raises(CisflowError, match=r"none.tar: there is no such file"):
        extract(tmp_path / "none.tar", "train.mat", tmp_path / "x.mat")
