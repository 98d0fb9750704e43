"""The cache by itself: editions, times, bounds."""

from __future__ import annotations

from api.cache import LARGEST_PART, Cache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_is_found_again() -> None:
    cache = Cache()
    cache.keep("q", 1, b"answer", 10)
    assert cache.find("q", 1) == b"answer"
    assert cache.find("other", 1) is None


def test_another_edition_is_not_found_and_takes_no_room() -> None:
    cache = Cache()
    cache.keep("q", (0, 7), b"answer", 10)
    assert cache.find("q", (0, 8)) is None
    assert (len(cache), cache.size) == (0, 0)


def test_an_answer_ends_with_its_time() -> None:
    clock = Clock()
    cache = Cache(clock=clock)
    cache.keep("q", 1, b"answer", 10)
    clock.now = 9.9
    assert cache.find("q", 1) == b"answer"
    clock.now = 10.0
    assert cache.find("q", 1) is None


def test_a_later_answer_takes_the_place_of_an_earlier_one() -> None:
    cache = Cache()
    cache.keep("q", 1, b"x" * 5_000, 10)
    cache.keep("q", 2, b"y", 10)
    assert cache.find("q", 2) == b"y"
    assert cache.size < 5_000


def test_the_longest_unused_gives_way_when_there_are_too_many() -> None:
    cache = Cache(entries=2)
    cache.keep("a", 1, b"a", 10)
    cache.keep("b", 1, b"b", 10)
    assert cache.find("a", 1)
    cache.keep("c", 1, b"c", 10)
    assert [cache.find(key, 1) for key in "abc"] == [b"a", None, b"c"]


def test_bytes_are_bounded() -> None:
    cache = Cache(size=100_000)
    for number in range(100):
        cache.keep(number, 1, bytes(10_000), 10)
        assert cache.size <= 100_000
    assert cache.find(99, 1) and not cache.find(0, 1)


def test_an_answer_too_large_is_not_kept() -> None:
    cache = Cache(size=80_000)
    cache.keep("small", 1, b"s", 10)
    cache.keep("large", 1, bytes(80_000 // LARGEST_PART), 10)
    assert cache.find("large", 1) is None
    assert cache.find("small", 1) == b"s"
