"""Which reports are one error, and what is said about why."""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fingerprint import GROUPING_VERSION, Grouping, group_report, search_words


def js(*calls: str) -> str:
    """A V8 trace of calls written ``function file``."""
    lines = []
    for number, call in enumerate(calls, 1):
        function, _, file = call.rpartition(" ")
        lines.append(f"    at {function} ({file}:{number}:7)")
    return "\n".join(["TypeError: x is undefined", *lines])


def pattern(stack_trace: str) -> tuple[str, ...]:
    return group_report("m", stack_trace).parts[3:]


def fingerprint(message: str, stack_trace: str | None = None) -> str:
    return group_report(message, stack_trace).fingerprint


def test_the_fingerprint_is_sha256_of_the_parts_each_behind_its_length() -> None:
    grouping = group_report("order 42 failed", js("pay /srv/shop.js"))
    assert grouping.parts == ("version 1", "TypeError", "order <num> failed", "shop.js:pay")
    hashed = b"9:version 19:TypeError18:order <num> failed11:shop.js:pay"
    assert grouping.fingerprint == hashlib.sha256(hashed).hexdigest()[:32]


def test_the_version_is_told_and_hashed_first() -> None:
    grouping = group_report("x", None)
    assert grouping.version == GROUPING_VERSION == 1
    assert grouping.parts[0] == "version 1"


def test_parts_that_join_to_the_same_text_differ() -> None:
    assert (
        group_report("m", None, ["ab", "c"]).fingerprint
        != group_report("m", None, ["a", "bc"]).fingerprint
    )


def test_a_code_groups_alone_whatever_else_the_report_says() -> None:
    one = group_report("order 42 failed", js("pay /srv/shop.js"), code="shop/pay")
    other = group_report("refund failed", None, code="shop/pay")
    assert one.fingerprint == other.fingerprint
    assert one.parts == ("version 1", "code", "shop/pay")
    assert one.reasons == ("Grouping version 1.", "The report's code is 'shop/pay'.")
    assert one.fingerprint != group_report("order 42 failed", None, code="shop/ship").fingerprint


def test_a_code_is_searched_for_beside_the_message() -> None:
    words = search_words("Error", "order failed", js("pay /srv/shop.js"), "shop/charge")
    assert {"order", "failed", "shop", "charge", "pay"} <= set(words)


def test_no_code_changes_nothing() -> None:
    trace = js("pay /srv/shop.js")
    assert group_report("m", trace, code=None) == group_report("m", trace, code="")
    assert group_report("m", trace, code=None) == group_report("m", trace)


def test_a_fingerprint_of_the_client_may_hold_the_code() -> None:
    grouped = group_report("m", None, ["{{ default }}", "eu"], code="shop/pay")
    assert grouped.parts == ("version 1", "code", "shop/pay", "eu")


def test_values_in_the_message_do_not_split_a_group() -> None:
    assert fingerprint("order 42 of 'ann' failed") == fingerprint("order 7 of 'bob' failed")


def test_other_words_make_another_group() -> None:
    assert fingerprint("order failed") != fingerprint("refund failed")


def test_the_type_comes_from_the_stack_trace_first_and_from_the_message_next() -> None:
    assert group_report("RangeError: y", js("pay /srv/a.js")).type == "TypeError"
    assert group_report("RangeError: y", None).type == "RangeError"
    assert group_report("java.io.IOException: y", None).type == "java.io.IOException"
    assert group_report("User: not found", None).type is None


def test_lines_and_columns_do_not_split_a_group() -> None:
    trace = js("pay /srv/a.js")
    assert fingerprint("m", trace) == fingerprint("m", trace.replace(":1:7", ":99:1"))


def test_folders_do_not_split_a_group() -> None:
    assert pattern(js("pay /srv/one/a.js")) == pattern(js("pay C:\\two\\a.js"))


def test_library_calls_count_only_where_there_is_no_other() -> None:
    mixed = js("each /srv/node_modules/lodash/lodash.js", "pay /srv/a.js")
    assert pattern(mixed) == ("a.js:pay",)
    assert pattern(js("each /srv/node_modules/lodash/lodash.js")) == ("lodash.js:each",)


def test_at_most_thirty_calls_are_used_the_innermost() -> None:
    calls = pattern(js(*(f"f{n}x /srv/a.js" for n in range(100, 200))))
    assert len(calls) == 30
    assert calls[0] == "a.js:f100x"


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c", "a", "d"]])
@given(depth=st.integers(1, 300))
def test_the_depth_of_a_recursion_does_not_split_a_group(cycle: list[str], depth: int) -> None:
    calls = [f"{call} /srv/a.js" for call in cycle]
    deep = js("thrown /srv/a.js", *calls * depth, "main /srv/a.js")
    assert pattern(deep) == pattern(js("thrown /srv/a.js", *calls, "main /srv/a.js"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pay https://x.example/app.3f2a1b.js", "pay https://x.example/app.99cd01e.js?v=3"),
        ("pay /assets/index-B4xq2Zk9.js", "pay /assets/index-C0aa1Zb7.js"),
        ("pay webpack:///./src/a.js", "pay /srv/a.js"),
        ("async pay /srv/a.js", "pay /srv/a.js"),
        ("new Basket /srv/a.js", "Basket /srv/a.js"),
        ("Object.pay /srv/a.js", "pay /srv/a.js"),
        ("Object.<anonymous> /srv/a.js", "<anonymous> /srv/a.js"),
        ("pay [as onClick] /srv/a.js", "pay /srv/a.js"),
        ("pay /srv/jquery-3.6.0.min.js", "pay /srv/jquery-3.7.1.min.js"),
    ],
)
def test_builds_and_engines_of_javascript_do_not_split_a_group(one: str, other: str) -> None:
    assert pattern(js(one)) == pattern(js(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at com.acme.A.lambda$pay$0(A.java:1)", "at com.acme.A.lambda$pay$3(A.java:9)"),
        ("at com.acme.A$1.run(A.java:1)", "at com.acme.A$2.run(A.java:1)"),
        (
            "at com.acme.A$$Lambda$14/0x00000008.run(Unknown Source)",
            "at com.acme.A$$Lambda/0x00000077.run(Unknown Source)",
        ),
        ("goroutine 1 [x]:\nmain.f.func1()\n\t/a.go:1", "goroutine 7 [x]:\nmain.f()\n\t/a.go:1"),
        ("a.rb:1:in `block (2 levels) in pay'", "a.rb:1:in 'Basket#pay'"),
        ("#0 /a.php(1): {closure:pay():9}()", "#0 /a.php(7): {closure:pay():11}()"),
        (
            "   0: shop::pay::{{closure}}::h0123456789abcdef\n             at ./a.rs:1:1",
            "   0: shop::pay::h9999999999abcdef\n             at ./a.rs:3:1",
        ),
        ("at A.<>c.<Pay>b__0_1() in a.cs:line 1", "at A.<Pay>d__7.MoveNext() in a.cs:line 2"),
    ],
)
def test_numbers_that_compilers_give_do_not_split_a_group(one: str, other: str) -> None:
    assert pattern(one) == pattern(other)
    assert pattern(one)


def test_a_text_of_no_known_format_is_used_line_by_line_normalised() -> None:
    assert pattern("step 1 failed\nafter 20ms") == ("step <num> failed", "after <num>")


def test_every_part_has_its_reason() -> None:
    reasons = group_report("order 42", js("pay /srv/a.js")).reasons
    assert reasons == (
        "Grouping version 1.",
        "The error's type is TypeError.",
        "The message, its variable values replaced by placeholders.",
        "The application's own calls in the javascript stack trace: 1 call.",
    )


@pytest.mark.parametrize("override", ["checkout", ["checkout"], ("checkout",)])
def test_a_fingerprint_of_the_client_replaces_ours(override: str | list[str]) -> None:
    grouping = group_report("order 42", js("pay /srv/a.js"), override)
    assert grouping.parts == ("version 1", "checkout")
    assert grouping.fingerprint == group_report("another", None, "checkout").fingerprint
    assert grouping.reasons[1] == "The report asked for 'checkout' in its fingerprint."


def test_default_in_the_clients_fingerprint_stands_for_ours() -> None:
    ours = group_report("order 42", None)
    assert group_report("order 42", None, ["{{ default }}"]).fingerprint == ours.fingerprint
    extended = group_report("order 42", None, ["{{ default }}", "eu"])
    assert extended.parts == (*ours.parts, "eu")
    assert extended.fingerprint != ours.fingerprint


@pytest.mark.parametrize("override", [None, "", " ", [], [""], ()])
def test_an_empty_fingerprint_of_the_client_counts_as_none(override: str | list[str]) -> None:
    assert group_report("x", None, override) == group_report("x", None)


def test_words_are_those_people_search_for() -> None:
    grouping = group_report("Order 42 failed", js("pay /srv/basket.js"))
    assert set(grouping.words) >= {"order", "failed", "typeerror", "pay", "basket.js", "basket"}
    assert "num" not in grouping.words


@given(st.text(max_size=300), st.text(max_size=300))
def test_words_are_few_sorted_unique_and_lower_case(message: str, stack_trace: str) -> None:
    words = group_report(message, stack_trace).words
    assert list(words) == sorted(set(words))
    assert len(words) <= 64
    assert all(word == word.lower() for word in words)


@given(st.text(st.characters(), max_size=300), st.none() | st.text(st.characters(), max_size=300))
def test_any_report_has_a_fingerprint_of_32_hex_digits(message: str, stack: str | None) -> None:
    grouping = group_report(message, stack)
    assert isinstance(grouping, Grouping)
    assert len(grouping.fingerprint) == 32
    assert int(grouping.fingerprint, 16) >= 0
    assert grouping == group_report(message, stack)


def test_lone_surrogates_do_not_stop_a_report() -> None:
    assert len(group_report("\ud800", "\udfff").fingerprint) == 32


@pytest.mark.parametrize(
    "stack_trace",
    [
        "unlike anything 1\n" * 60_000,
        "x" * 2**20,
        "\n".join(f"    at f{n % 7} (/srv/a{n}.js:1:1)" for n in range(30_000)),
        "\n".join(f"{n}-{n} failed: 'x{n}" for n in range(40_000)),
    ],
    ids=["one line", "no line", "calls", "lines"],
)
def test_a_mebibyte_of_stack_trace_is_grouped_at_once(stack_trace: str) -> None:
    begin = time.perf_counter()
    group_report("m" * 2**20, stack_trace)
    assert time.perf_counter() - begin < 0.5
