"""Texts of many scripts and layouts, torn: along their own structure, and the same however they arrive."""

import pytest

from engine.walk.pulp.script import columns, words
from engine.walk.pulp.tearing import tear


def torn(text: str, **options: int) -> list[str]:
    return list(tear([text], **options))


def test_wrapped_prose_is_joined_and_torn_at_its_stops() -> None:
    text = (
        "It was a cold day in Mr. Shandy's house, and the paper on the walls had\n"
        "begun to peel off in long strips, which Dr. Slop, who had come in out of\n"
        "the rain with his bag, took between two fingers and smelled. It will all\n"
        "come down by the Tues-\nday of next week, he said, No. 5 as well as No. 6.\n\n"
        "Nobody answered. J. R. Toby looked at the ceiling...\n"
    )
    assert torn(text) == [
        "It was a cold day in Mr. Shandy's house",
        "and the paper on the walls had begun to peel off in long strips",
        "which Dr. Slop, who had come in out of the rain with his bag",
        "took between two fingers and smelled.",
        "It will all come down by the Tuesday of next week, he said, No. 5 as well as No. 6.",
        "Nobody answered.",
        "J. R. Toby looked at the ceiling...",
    ]


def test_verses_stay_lines() -> None:
    text = "The sky is a page\nthat nobody turned,\nand under it, white,\nthe fields that we burned.\n"
    assert torn(text) == [
        "The sky is a page",
        "that nobody turned",
        "and under it, white",
        "the fields that we burned.",
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("白雲在天上慢慢地走，像一張沒有寫字的紙。「你看見了什麼？」雨停了，書頁還是濕的。", 3),
        ("كانت الغيوم بيضاء مثل ورق لم يكتب عليه أحد. هل ترى الوجه هناك؟", 2),
        ("बादल काग़ज़ की तरह सफ़ेद थे। क्या तुम चेहरा देख रहे हो?", 2),
        ("เมฆสีขาวเหมือนกระดาษที่ยังไม่มีใครเขียน ฝนตกลงบนหนังสือเก่าในสวนหลังบ้าน " * 2, 2),
        ("雲は白い紙のようだった。雨が古い本に降り、文字は夢のように溶けていった。", 2),
    ],
)
def test_every_script_has_its_own_ends(text: str, parts: int) -> None:
    found = torn(text)
    assert len(found) == parts
    assert all(columns(part) <= 90 for part in found)
    assert sum(map(len, found)) > 0.9 * len(text.replace(" ", ""))


def test_a_sign_keeps_its_marks_where_nothing_else_parts_a_text() -> None:
    for part in torn("क्षि" * 400):
        assert part.startswith("क्षि") and part.endswith("क्षि")


def test_what_a_page_put_there_is_left_out() -> None:
    page = "THE BOOK OF RAIN\n\nRain fell on page {0} of it all day.\n\n- {0} -\n\n* * *\n\n"
    found = torn("".join(page.format(n) for n in range(1, 40)))
    assert found.count("THE BOOK OF RAIN") < 8
    assert sum("Rain fell" in part for part in found) == 39
    assert not [part for part in found if part.strip("- ").isdigit() or "*" in part]


def test_a_book_of_gutenberg_is_torn_without_its_licence() -> None:
    text = (
        "The licence is here.\n\n*** START OF THIS PROJECT GUTENBERG EBOOK RAIN ***\n\nProduced by someone\n\n"
        "Rain fell.\nAll of the day.\n\n*** END OF THIS PROJECT GUTENBERG EBOOK RAIN ***\nThis file\nis\nfree\n\n"
        "More law."
    )
    assert torn(text) == ["Rain fell. All of the day."]


def test_the_same_fragments_however_a_text_arrives() -> None:
    text = "The rain, which fell; on the paper. And \r\nthe ink ran off it.\r\n\r\n“Look!” she said: a cloud. " * 400
    text += text.replace("\r\n", " ")  # and once on one line
    whole = torn(text)
    assert whole == list(tear(text[at : at + 313] for at in range(0, len(text), 313)))
    assert len(whole) > 1500 and all(columns(part) <= 122 for part in whole)


def test_what_has_no_words_gives_nothing() -> None:
    assert torn("12 34 56\n---\n\n1.5 2.5 3.5\n***\n|||||\n\x00\x01\n") == []
    assert torn("") == []


def test_words_of_any_script() -> None:
    assert words("The Cloud's papers, 12 of them") == ["the", "cloud's", "papers", "of", "them"]
    assert "बादल" in words("बादल सफ़ेद") and "सफ़ेद" in words("बादल सफ़ेद")
    assert {"白雲", "天上"} <= set(words("白雲在天上"))
    assert words("カタカナと") == ["カタカナ"]
