"""Messages and the sentences they were printed from."""

import ipaddress
import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.normalise import MAX_MESSAGE_CHARS, normalise


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("order 42 failed", "order <num> failed"),
        ("took 12ms, then 1.5 seconds", "took <num>, then <num>"),
        ("5.2 KB of 1,024 bytes at 93%", "<num> of <num> at <num>"),
        ("lifetime <1 sec", "lifetime <num>"),
        ("lifetime 00:01", "lifetime <num>"),
        ("offset -3 or +4.5e-07", "offset <num> or <num>"),
        ("bad address 0x1F and 003a90fc and c0ffeebabe", "bad address <num> and <num> and <num>"),
        ("commit ffffffff is gone", "commit <num> is gone"),
        ("ids 1, 2, 3 and 4 5", "ids <num> and <num>"),
        ("id 0673dd71-34c5-4fbb-86c4-40623fbe45b4!", "id <uuid>!"),
        ("from 10.0.0.7 and /10.0.0.7:80 and db/10.0.0.7", "from <ip> and <ip> and <ip>"),
        ("from ::1 and fe80::1%eth0 and [2001:db8::1]", "from <ip> and <ip> and [<ip>]"),
        ("to 10.0.0.7 (a7.example.net) or 10.0.0.8 ()", "to <ip> or <ip>"),
        ("card 00:1b:63:84:45:e6 is up", "card <mac> is up"),
        ("at 2024-05-01T10:20:30.5Z", "at <date>"),
        ("at Fri Jun 17 07:07:00 2005", "at <date>"),
        ("on Sat, 17 Jun 2005 07:07 UTC", "on <date> UTC"),
        ("mail to ann.b+c@example.co.uk bounced", "mail to <email> bounced"),
        ("GET https://a.example/x?y=1&z=2 failed", "GET <url> failed"),
        ("db.example.com:5432 closed", "<host> closed"),
        ("no /var/log/x.log: gone", "no <path>: gone"),
        (r"no C:\Program Files\x\y.dll here", "no <path> here"),
        ("no src/shop/basket.py here", "no <path> here"),
        ("key 'a b' is \"c\" or `d`", "key <str> is <str> or <str>"),
        ("can't and won't", "can't and won't"),
        ('"GET /a/1 HTTP/1.1" 200', '"GET <path>" <num>'),
        ("uid=12 name = com.acme.x user=", "uid=<val> name=<val> user="),
        ("state=open ready=true code=ENOENT", "state=open ready=true code=ENOENT"),
        ("task_201_0024 of blk_-99", "<id> of <id>"),
        ("package acme-core~31bf38~amd64~~6.1.1 of disk_A7", "package <id> of <id>"),
        ("worker8 on cp-1", "worker<num> on cp-<num>"),
        ("token 8f3KdL09aQ", "token <id>"),
        ("a  b\n\tc", "a b c"),
        ("a::b and std::foo", "a::b and std::foo"),
        ("session closed for user ann", "session closed for user <name>"),
        ("password for ann from 10.0.0.7", "password for <name> from <ip>"),
    ],
)
def test_values_become_placeholders_and_words_stay(message: str, expected: str) -> None:
    assert normalise(message) == expected


def test_request_methods_are_kept_apart() -> None:
    assert normalise('"GET /a HTTP/1.1"') != normalise('"POST /a HTTP/1.1"')


def test_what_follows_the_first_8192_characters_is_not_looked_at() -> None:
    text = "word " * 2_000
    assert normalise(text + "a") == normalise(text + "b")
    assert len(normalise("x" * 10_000)) == MAX_MESSAGE_CHARS


ANYTHING = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="aF09 =<>:./\\-_@'\"`,|(){}[]%*#~\n", max_size=200),
)


@given(ANYTHING)
def test_any_text_is_normalised_the_same_way_twice(text: str) -> None:
    assert normalise(text) == normalise(text)


@given(st.integers(), st.integers())
def test_numbers_do_not_matter(one: int, other: int) -> None:
    assert normalise(f"order {one} of {one} x") == normalise(f"order {other} of {other} x")
    assert normalise(f"order={one}; x") == normalise(f"order={other}; x")


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_decimal_numbers_do_not_matter(one: float, other: float) -> None:
    assert normalise(f"rate {one!r} is high") == normalise(f"rate {other!r} is high")


@given(st.uuids(), st.uuids())
def test_uuids_do_not_matter(one: object, other: object) -> None:
    assert normalise(f"order ({one}) lost") == normalise(f"order ({other}) lost")


# Without a digit, "::" is the scope operator of several languages.
ADDRESSES = st.ip_addresses().filter(lambda address: any(map(str.isdigit, str(address))))


@given(ADDRESSES, ADDRESSES)
def test_addresses_do_not_matter(
    one: ipaddress.IPv4Address | ipaddress.IPv6Address,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert normalise(f"peer {one} left") == normalise(f"peer {other} left")


DATES = st.dates(min_value=date(1000, 1, 1))


@given(DATES, DATES)
def test_dates_do_not_matter(one: object, other: object) -> None:
    assert normalise(f"due on {one:%Y-%m-%d} or so") == normalise(f"due on {other:%Y-%m-%d} or so")


QUOTABLE = st.text(alphabet=st.characters(exclude_characters="\"'`"), max_size=40).filter(
    # A request line is told from other quoted strings on purpose.
    lambda text: not text.isupper()
)


@given(QUOTABLE, QUOTABLE)
def test_quoted_values_do_not_matter(one: str, other: str) -> None:
    assert normalise(f"no key '{one}' here") == normalise(f"no key '{other}' here")


WORDS = st.sampled_from(
    ["order", "42", "0x1f", "10.0.0.7:80", "/var/x.log", "'a b'", "uid=12", "a@b.example.com",
     "blk_12", "state=open", "x8", "2024-05-01", "https://a.example/b", "12ms", "(7)", "[a, 3]"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12))
def test_a_normalised_message_stays_as_it_is(words: list[str]) -> None:
    once = normalise(" ".join(words))
    assert normalise(once) == once


@pytest.mark.parametrize(
    "piece",
    ["'", " '", "'a", "a", "`", "\u201c", "\u00ab", "=", "<", "<1", "a.", "a_", "_", "1", "1.",
     "1:", "::", "a:", "a/", "/", "\\", "-", "ff:", "@", "a@", "a@a.", "%", "*", " user ",
     "<num> ", "<ip> (", " for ", "Jan ", "a.com.", "x://", "x:", "1e", "\u0663", " =", "a "],
)  # fmt: skip
def test_a_mebibyte_of_anything_is_normalised_at_once(piece: str) -> None:
    begin = time.perf_counter()
    normalise("a" + piece * (2**20 // len(piece)) + "!")
    assert time.perf_counter() - begin < 0.25
