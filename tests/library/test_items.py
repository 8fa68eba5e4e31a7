"""Label files in XML: any declared encoding, no entities, and every refusal with file and line."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.data.files import DatasetError, Form
from reidlib.data.items import coded, items

FORMS = {"imageName": Form(r"\w+\.jpg", "a.jpg"), "vehicleID": Form(r"\d{4}", "0002"), "colorID": Form(r"\d", "1")}
HEADER = '<?xml version="1.0" encoding="{}" ?>\n<TrainingImages Version="1.0">\n<Items number="2">\n'
BODY = (
    '<Item imageName="a.jpg" vehicleID="0002" colorID="1" />\n<Item imageName="b.jpg" vehicleID="0003" note="五" />\n'
)
END = "</Items>\n</TrainingImages>\n"


@pytest.fixture
def label(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "label.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(("declared", "written"), [("gb2312", "gb2312"), ("gb2312", "utf-8"), ("utf-8", "utf-8-sig")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_items_are_read_whatever_the_header_says(label, declared, written, end):
    found = items(label((HEADER.format(declared) + BODY + END).replace("\n", end), written), FORMS, ("colorID",))
    assert found["imageName"].tolist() == ["a.jpg", "b.jpg"]
    assert found.index.tolist() == [4, 5]
    assert found["colorID"].isna().tolist() == [False, True]


BOMB = '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>\n<x>&b;</x>'
OUTSIDE = '<?xml version="1.0"?>\n<!DOCTYPE x SYSTEM "file:///etc/hostname">\n<x/>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 2: a document type is refused"),
        (OUTSIDE, "line 2: a document type is refused"),
        ("<x>\n&lol;</x>", "line 2: undefined entity"),
        (HEADER.format("gb2312") + BODY, "line 6: no element found"),
        (HEADER.format("gb2312") + BODY[:70], "line 5: unclosed token"),
        (HEADER.format("gb2312") + BODY.replace('vehicleID="0003"', "") + END, r"vehicleID of the form.*line 5"),
        (HEADER.format("gb2312") + BODY.replace("a.jpg", "../a.jpg") + END, r"imageName of the form.*line 4"),
        (HEADER.format("gb2312") + END, "holds no Item"),
        ("", "no element found"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 3: binary data"),
        (b"<x>\n\xff\xff\xff</x>", "line 2: neither UTF-8 nor GBK"),
    ],
)
def test_refusals_name_file_and_line(label, text, message):
    path = label(text)
    with pytest.raises(DatasetError, match=message) as error:
        items(path, FORMS, ("colorID",))
    assert str(path) in str(error.value)


@settings(max_examples=50)
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: f"<x>{t}</x>".encode())))
def test_random_bytes_make_one_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.xml"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="random.xml"):
        items(path, FORMS)


def test_codes_become_names(tmp_path):
    codes = pd.Series(["1", "02", "0", pd.NA], index=[4, 5, 6, 7], name="colorID", dtype="string")
    assert coded(tmp_path, codes, ("yellow", "orange"), 1).tolist() == ["yellow", "orange", pd.NA, pd.NA]
    assert coded(tmp_path, codes, ("yellow", "orange", "green"), 0).tolist() == ["orange", "green", "yellow", pd.NA]
    with pytest.raises(DatasetError, match="colorID that is none of 1 to 1.*line 5: '02'"):
        coded(tmp_path / "label.xml", codes, ("yellow",), 1)
