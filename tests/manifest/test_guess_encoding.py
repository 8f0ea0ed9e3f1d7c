"""A guess at an encoding is checked against the text, and shows what it says."""

from pathlib import Path

import pytest

from batcher.manifest.formats.guess_encoding import guess_encoding
from tests.manifest.test_ugly import told

READS = {
    "simplified Chinese": ("gbk", "gb18030", "j1,订单库\n", "订单库"),
    "traditional Chinese in GBK": ("gb18030", "gb18030", "j1,資料庫\n", "資料庫"),
    "Chinese punctuation alone": ("gbk", "gb18030", "shop\uff1a orders\uff0citems\n", "\uff1a"),
    "traditional Chinese": ("big5", "big5", "j1,資料庫\nj2,訂單與客戶\n", "資料庫"),
    "Japanese from Windows": ("cp932", "cp932", "j1,データベース移行\n", "データベース移行"),
    "Japanese from Unix": ("euc_jp", "euc_jp", "j1,データベース移行\n", "データベース移行"),
    "Korean": ("cp949", "cp949", "j1,데이터 베이스 이름\n", "데이터"),
    "Russian": ("cp1251", "cp1251", "j1,Отдел продаж\n", "Отдел"),
    "French": ("iso-8859-1", "cp1252", "j1,café\n", "café"),
    "a few German words, which GBK reads as rare signs": ("cp1252", "cp1252", "j1,Müller\nj2,Straße\n", "Müller"),
    "a single Spanish word": ("iso-8859-1", "cp1252", "j1,España\n", "España"),
    "a single Russian word": ("cp1251", "cp1251", "j1,заказы\n", "заказы"),
    "a rare Chinese name": ("gbk", "gb18030", "j1,刘玥\n", "刘玥"),
    "a Chinese sign behind letters": ("gbk", "gb18030", "j1,T团\n", "T团"),
    "German": ("cp1252", "cp1252", "j1,Größe 5 €\nj2,Müller\n", "Größe"),
}


@pytest.mark.parametrize("name", READS)
def test_the_advice_reads_the_text(name: str, tmp_path: Path) -> None:
    """GBK is not taken for cp1252, which takes any text."""
    encoding, advice, text, word = READS[name]
    (said,) = told(tmp_path, b"job_id,label.a\n" + text.encode(encoding), "wave.csv")
    assert f"With --encoding {advice} it reads “{word}” here; otherwise name its encoding, or save it as UTF-8." in said


@pytest.mark.parametrize(
    "data",
    [
        "j,Отдел".encode("koi8_r"),
        "j,Отдел".encode("cp866"),
        "j,café".encode("mac_roman"),
        "j,café".encode("cp850"),
        b"\xff\xfe\x80\x81",
        b"cut \xc3",
        b"\xe9",
        b"\xa0",
        b"",
    ],
)
def test_what_no_guess_reads_gets_none(data: bytes) -> None:
    """Rather than one that makes mojibake of it."""
    assert guess_encoding(data) is None


def test_the_guess_looks_where_the_bytes_are(tmp_path: Path) -> None:
    """Far into a large file, where a part of a line is not taken for the beginning of a sign."""
    content = b"job_id,label.a\n" + "j,数据\n".encode() * 20_000 + "k,订单库\n".encode("gbk") + b"l,x\n"
    said = told(tmp_path, content, "wave.csv")
    assert "line 20002, column 3: the byte 0xb6 is not UTF-8." in said[-1]


def test_a_wrong_encoding_that_was_given_gets_the_same_advice(tmp_path: Path) -> None:
    """The one that was named cannot read it."""
    (said,) = told(tmp_path, "job_id,label.a\nj,订单库\n".encode("gbk"), "wave.csv", encoding="ascii")
    assert "the byte 0xb6 is not ascii. With --encoding gb18030 it reads “订单库” here" in said
