"""Reading a list page by page: whole, or known not to be; never for ever."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.paging import Paging, ReadState

SIZE = 3
KEYS = [f"k{n}" for n in range(12)]


def read(pages: Sequence[list[str]], total: int | None, **settings: bool) -> Paging[str]:
    """Reads *pages*, which have one empty page behind them; at most ten."""
    paging: Paging[str] = Paging(most_pages=10, **settings)
    while paging.state is ReadState.ON:
        rows = pages[paging.number - 1] if paging.number <= len(pages) else []
        paging.add({key: key for key in rows}, total, full=len(rows) >= SIZE)
    return paging


def cut(keys: Sequence[str], size: int = SIZE) -> list[list[str]]:
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]


@given(st.integers(0, 12), st.integers(1, SIZE), st.booleans())
def test_a_list_that_stands_still_is_whole_however_short_its_pages(length: int, size: int, first_again: bool) -> None:
    paging = read(cut(KEYS[:length], size)[:10], length, first_again=first_again)
    assert (paging.state is ReadState.WHOLE) == (len(cut(KEYS[:length], size)) <= 10)
    if paging.state is ReadState.WHOLE:
        assert list(paging.found) == KEYS[:length]


@given(st.integers(0, 12))
def test_without_a_total_a_short_page_is_the_last(length: int) -> None:
    paging = read(cut(KEYS[:length]), None)
    assert (paging.state, list(paging.found)) == (ReadState.WHOLE, KEYS[:length])


@given(st.lists(st.lists(st.sampled_from(KEYS), max_size=SIZE), max_size=12), st.integers(0, 40), st.booleans())
def test_whatever_it_is_told_it_ends_and_whole_means_all(pages: list[list[str]], total: int, first_again: bool) -> None:
    paging = read(pages, total, first_again=first_again)
    assert (paging.state is ReadState.WHOLE) == (len(paging.found) >= total)


def test_rows_that_move_between_pages_are_looked_for_on_the_first_page_again() -> None:
    paging: Paging[str] = Paging(most_pages=10, first_again=True)
    assert paging.add({"a": "a", "b": "b"}, 4) is ReadState.ON
    assert paging.add({"c": "c", "d": "d"}, 5) is ReadState.ON  # one came in meanwhile, and sits on the first page
    assert paging.add({}, 5) is ReadState.SHORT
    paging = Paging(most_pages=10, first_again=True)
    paging.add({"a": "a", "b": "b"}, 3)
    assert (paging.add({"c": "c"}, 3), paging.number) == (ReadState.ON, 1)
    assert paging.add({"new": "new", "a": "A"}, 4) is ReadState.WHOLE
    assert paging.found == {"a": "A", "b": "b", "c": "c", "new": "new"}


def test_what_later_pages_count_makes_no_list_whole_that_had_more() -> None:
    """A page without rows that counts one, twice: what was on the second page would be taken for made since then."""
    paging: Paging[str] = Paging(most_pages=10, first_again=True)
    assert paging.add({"a": "a", "b": "b"}, 3) is ReadState.ON
    assert paging.add({}, 1) is ReadState.ON
    assert paging.add({}, 1) is ReadState.SHORT
    paging = Paging(most_pages=10, first_again=True)
    paging.add({"a": "a", "b": "b"}, 4)
    paging.add({"d": "d"}, 3)  # `a` is gone, so `c` has moved to the first page
    assert paging.add({"b": "b", "c": "c"}, 3) is ReadState.WHOLE


def test_a_list_that_is_too_long_is_not_read() -> None:
    assert Paging[str](most_pages=10, most_rows=30).add({"a": "a"}, 31) is ReadState.TOO_LONG
