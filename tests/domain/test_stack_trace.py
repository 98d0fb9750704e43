"""Stack traces of eight languages, each sample as its runtime prints it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.stack_trace import StackTrace, parse_stack_trace


def functions(trace: StackTrace) -> list[str | None]:
    return [frame.function for frame in trace.frames]


def own(trace: StackTrace) -> list[str | None]:
    return [frame.function for frame in trace.frames if frame.in_app]


V8 = """\
Uncaught TypeError: Cannot read properties of undefined (reading 'id')
    at basketTotal (https://shop.example/static/app.3f2a1b.js?v=7:10:21)
    at async Checkout.pay (webpack:///./src/checkout.ts:44:7)
    at new Order (file:///srv/shop/order.js:5:9)
    at Object.<anonymous> [as onClick] (/srv/shop/index.js:3:1)
    at eval (eval at run (/srv/shop/tpl.js:9:2), <anonymous>:1:1)
    at Array.forEach (<anonymous>)
    at /srv/shop/node_modules/express/lib/router.js:280:10
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async Promise.all (index 0)"""


def test_v8_frames_are_read_with_places_and_owners() -> None:
    trace = parse_stack_trace(V8)
    assert trace.language == "javascript"
    assert trace.type == "TypeError"
    assert trace.value == "Cannot read properties of undefined (reading 'id')"
    assert len(trace.frames) == 9
    first = trace.frames[0]
    assert (first.function, first.line, first.column, first.in_app) == ("basketTotal", 10, 21, True)
    assert trace.frames[4].file == "/srv/shop/tpl.js"
    assert own(trace) == ["basketTotal", "Checkout.pay", "Order", "Object.<anonymous>", "eval"]


def test_firefox_frames_are_read() -> None:
    trace = parse_stack_trace(
        "basketTotal@https://shop.example/app.js:10:21\n"
        "pay/<@https://shop.example/app.js:44:7\n"
        "async*click@https://shop.example/app.js:50:1\n"
        "run@https://shop.example/tpl.js line 3 > eval:1:1\n"
        "@https://shop.example/app.js:60:3\n"
    )
    assert trace.language == "javascript"
    assert functions(trace) == ["basketTotal", "pay/<", "click", "run", None]
    assert trace.frames[3].line == 3


def test_safari_frames_are_read_and_native_code_is_not_the_applications() -> None:
    trace = parse_stack_trace(
        "basketTotal@https://shop.example/app.js:10:21\n"
        "forEach@[native code]\n"
        "global code@https://shop.example/app.js:90:3"
    )
    assert functions(trace) == ["basketTotal", "forEach", None]
    assert [frame.in_app for frame in trace.frames] == [True, False, True]


def test_hermes_frames_are_read() -> None:
    trace = parse_stack_trace(
        "ReferenceError: Property 'basket' doesn't exist\n"
        "    at basketTotal (address at index.android.bundle:1:23456)\n"
        "    at anonymous (address at index.android.bundle:1:9876)\n"
        "    at forEach (native)"
    )
    assert trace.type == "ReferenceError"
    assert trace.frames[0].file == "index.android.bundle"
    assert (trace.frames[0].line, trace.frames[0].column) == (1, 23456)
    assert own(trace) == ["basketTotal", "anonymous"]


def test_a_javascript_cause_is_left_out() -> None:
    trace = parse_stack_trace(
        "Error: order failed\n    at order (/srv/a.js:1:1) {\n"
        "  [cause]: TypeError: no card\n      at card (/srv/b.js:2:2)\n}"
    )
    assert trace.type == "Error"
    assert functions(trace) == ["order"]


PYTHON = """\
Traceback (most recent call last):
  File "/srv/shop/card.py", line 8, in charge
    return gateway.charge(card)
           ^^^^^^^^^^^^^^^~~~~~~
KeyError: 'token'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/flask/app.py", line 1484, in full_dispatch
    rv = self.dispatch()
  File "/srv/shop/views.py", line 21, in checkout
    charge(basket)
  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode
    obj, end = self.raw_decode(s)
shop.errors.PaymentError: card declined
"""


def test_python_gives_the_last_exception_raised_innermost_call_first() -> None:
    trace = parse_stack_trace(PYTHON)
    assert (trace.language, trace.type) == ("python", "shop.errors.PaymentError")
    assert trace.value == "card declined"
    assert functions(trace) == ["decode", "checkout", "full_dispatch"]
    assert own(trace) == ["checkout"]


def test_a_python_syntax_error_has_a_frame_without_function() -> None:
    trace = parse_stack_trace(
        'Traceback (most recent call last):\n  File "/srv/run.py", line 2, in <module>\n'
        '    import shop\n  File "/srv/shop.py", line 9\n    def buy(:\n            ^\n'
        "SyntaxError: invalid syntax\n"
    )
    assert trace.type == "SyntaxError"
    assert (trace.frames[0].file, trace.frames[0].function) == ("/srv/shop.py", None)


def test_a_python_exception_without_message_has_a_type() -> None:
    trace = parse_stack_trace(
        'Traceback (most recent call last):\n  File "/srv/a.py", line 2, in wait\n'
        "    sleep()\nKeyboardInterrupt"
    )
    assert (trace.type, trace.value) == ("KeyboardInterrupt", None)


def test_a_python_exception_group_gives_the_group_itself() -> None:
    trace = parse_stack_trace(
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/srv/a.py", line 5, in gather\n'
        "  |     raise group\n"
        "  | ExceptionGroup: many (1 sub-exception)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n"
        '    |   File "/srv/b.py", line 2, in one\n'
        "    | ValueError: bad\n"
        "    +------------------------------------\n"
    )
    assert trace.type == "ExceptionGroup"
    assert functions(trace) == ["gather"]


def test_a_python_file_of_a_thousand_calls_keeps_the_innermost() -> None:
    calls = "".join(f'  File "/srv/a.py", line {n}, in f{n}\n    f()\n' for n in range(3_000))
    trace = parse_stack_trace(f"Traceback (most recent call last):\n{calls}RecursionError: deep")
    assert trace.type == "RecursionError"
    assert trace.frames[0].function == "f2999"


JAVA = """\
Exception in thread "main" com.acme.web.ServletFailure: request failed
\tat com.acme.web.Dispatcher.serve(Dispatcher.java:40)
\tat org.springframework.web.Chain.doFilter(Chain.java:9)
\tat java.base/java.lang.Thread.run(Thread.java:833)
\tSuppressed: java.io.IOException: stream closed
\t\tat com.acme.web.Stream.close(Stream.java:3)
\t\t... 3 more
\tCaused by: java.lang.Error: inside the suppressed one
\t\tat com.acme.web.Other.close(Other.java:3)
Caused by: java.lang.IllegalStateException: basket is empty
\tat app//com.acme.shop.Basket.lambda$total$3(Basket.java:12)
\tat com.acme.shop.BasketKt$total$1.invoke(Basket.kt:20)
\tat com.acme.Main$$Lambda$14/0x0000000800c03000.run(Unknown Source)
\tat jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)
\t... 2 more"""


def test_java_gives_the_root_cause_and_the_calls_it_shares() -> None:
    trace = parse_stack_trace(JAVA)
    assert trace.language == "java"
    assert trace.type == "java.lang.IllegalStateException"
    assert trace.value == "basket is empty"
    assert functions(trace) == ["lambda$total$3", "invoke", "run", "invoke0", "doFilter", "run"]
    assert [frame.in_app for frame in trace.frames] == [True, True, True, False, False, False]
    assert trace.frames[0].module == "com.acme.shop.Basket"
    assert (trace.frames[0].file, trace.frames[0].line) == ("Basket.java", 12)


def test_a_java_trace_without_cause_is_itself() -> None:
    trace = parse_stack_trace("java.lang.NullPointerException\n\tat com.acme.A.b(A.java:1)")
    assert (trace.type, trace.value) == ("java.lang.NullPointerException", None)
    assert functions(trace) == ["b"]


GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
panic({0x4a0, 0xc00})
\t/usr/local/go/src/runtime/panic.go:884 +0x212
github.com/acme/shop/basket.(*Basket).Total(0xc000, 0x5)
\t/home/ann/shop/basket/basket.go:31 +0x1d
main.main.func1()
\t/home/ann/shop/main.go:9 +0x25
github.com/gorilla/mux.(*Router).ServeHTTP(...)
\t/root/go/pkg/mod/github.com/gorilla/mux@v1.8.0/mux.go:210
net/http.serverHandler.ServeHTTP({0xc0}, {0x7f}, 0xc1)
\t/usr/local/go/src/net/http/server.go:2936 +0x316
created by main.start in goroutine 7
\t/home/ann/shop/main.go:20 +0x99

goroutine 18 [chan receive]:
main.wait()
\t/home/ann/shop/wait.go:3 +0x1
exit status 2"""


def test_go_gives_the_goroutine_that_panicked() -> None:
    trace = parse_stack_trace(GO)
    assert (trace.language, trace.type) == ("go", "runtime error")
    assert trace.value == "index out of range [5] with length 3"
    assert own(trace) == ["(*Basket).Total", "main.func1", "start"]
    assert trace.frames[1].module == "github.com/acme/shop/basket"
    assert trace.frames[1].line == 31
    assert len(trace.frames) == 6


DOTNET = """\
System.AggregateException: One or more errors occurred. (No card)
 ---> Shop.PaymentException: No card
   at Shop.Card.<ChargeAsync>d__5.MoveNext() in C:\\shop\\Card.cs:line 12
   at Shop.Cart.<>c__DisplayClass3_0.<Pay>b__0(Item`1 item, Int32 count) in /src/Cart.cs:line 44
   --- End of inner exception stack trace ---
   at System.Threading.Tasks.Task.Wait(Int32 ms)
   at Shop.Program.Main[T](String[] args)"""


def test_dotnet_gives_the_innermost_exception_and_the_methods_behind_state_machines() -> None:
    trace = parse_stack_trace(DOTNET)
    assert (trace.language, trace.type) == ("dotnet", "Shop.PaymentException")
    assert trace.value == "No card"
    assert functions(trace) == ["ChargeAsync", "Pay", "Wait", "Main"]
    assert [frame.module for frame in trace.frames][:2] == ["Shop.Card", "Shop.Cart"]
    assert (trace.frames[0].file, trace.frames[0].line) == ("C:\\shop\\Card.cs", 12)
    assert own(trace) == ["ChargeAsync", "Pay", "Main"]


@pytest.mark.parametrize(
    ("opened", "function"), [("`", "total"), ("'", "Basket#total")], ids=["ruby 3.3", "ruby 3.4"]
)
def test_ruby_is_read_in_both_quotings(opened: str, function: str) -> None:
    trace = parse_stack_trace(
        f"app/models/basket.rb:12:in {opened}{function}': undefined method 'id' (NoMethodError)\n"
        f"\tfrom app/models/basket.rb:8:in {opened}block in sum'\n"
        f"\tfrom /usr/lib/ruby/gems/3.3.0/gems/rack-3.0/lib/rack.rb:4:in {opened}call'\n"
    )
    assert (trace.language, trace.type) == ("ruby", "NoMethodError")
    assert trace.value == "undefined method 'id'"
    assert own(trace) == [function, "block in sum"]
    assert len(trace.frames) == 3


def test_a_ruby_trace_printed_upside_down_is_turned_round() -> None:
    trace = parse_stack_trace(
        "Traceback (most recent call last):\n\t1: from a.rb:5:in `<main>'\n"
        "a.rb:2:in `buy': no card (RuntimeError)"
    )
    assert functions(trace) == ["buy", "<main>"]


def test_php_gives_the_first_exception_of_a_chain() -> None:
    trace = parse_stack_trace(
        "PHP Fatal error:  Uncaught App\\PaymentError: No card in /var/www/src/Card.php:12\n"
        "Stack trace:\n"
        "#0 /var/www/src/Cart.php(34): App\\Card->charge('x', Array)\n"
        "#1 [internal function]: App\\{closure}(1)\n"
        "#2 /var/www/vendor/acme/http/Kernel.php(7): array_map(Object(Closure))\n"
        "#3 {main}\n\n"
        "Next App\\OrderError: failed in /var/www/src/Order.php:9\nStack trace:\n"
        "#0 /var/www/index.php(3): App\\Order->buy()\n#1 {main}\n"
        "  thrown in /var/www/src/Order.php on line 9"
    )
    assert (trace.language, trace.type) == ("php", "App\\PaymentError")
    assert trace.value == "No card"
    assert functions(trace) == ["App\\Card->charge", "App\\{closure}", "array_map"]
    assert own(trace) == ["App\\Card->charge"]
    assert trace.frames[0].line == 34


def test_rust_frames_lose_their_hash_and_std_is_a_library() -> None:
    trace = parse_stack_trace(
        "thread 'main' panicked at src/shop.rs:4:5:\n"
        "index out of bounds: the len is 3 but the index is 5\n"
        "stack backtrace:\n"
        "   0: rust_begin_unwind\n"
        "             at /rustc/9fc6b431/library/std/src/panicking.rs:597:5\n"
        "   1: core::panicking::panic_fmt::h0123456789abcdef\n"
        "   2: shop::basket::total::{{closure}}::hfedcba9876543210\n"
        "             at ./src/shop.rs:4:5\n"
        "   3: <shop::Cart as core::ops::Drop>::drop\n"
        "   4: std::rt::lang_start\n"
    )
    assert (trace.language, trace.type) == ("rust", "panic")
    assert trace.value == "index out of bounds: the len is 3 but the index is 5"
    assert own(trace) == [
        "shop::basket::total::{{closure}}",
        "<shop::Cart as core::ops::Drop>::drop",
    ]
    assert (trace.frames[2].file, trace.frames[2].line) == ("./src/shop.rs", 4)


def test_another_text_is_one_frame_a_line() -> None:
    trace = parse_stack_trace("step one failed\n\n  then step two")
    assert trace.language == "unknown"
    assert [frame.raw for frame in trace.frames] == ["step one failed", "then step two"]


def test_no_text_has_no_frames() -> None:
    assert parse_stack_trace("").frames == ()


@given(st.text(alphabet=" \n\tat@(:).<>$#0129\"FileIn,`'aéjs.rbgo\\/[]|{}-=", max_size=400))
def test_any_text_is_read_without_error(text: str) -> None:
    assert isinstance(parse_stack_trace(text), StackTrace)


@pytest.mark.parametrize(
    "piece",
    ["\n", "at ", "at a (", "at a.b(", 'File "', "@", "a@b:1:", "#0 a(1): ", "0: a\n", "main.f(",
     "main.f(x)\n\t/a.go:1", "a.rb:1:in `", "Caused by: \n", " ---> ", "\n\t", "\n        ",
     "::", "goroutine 1\n", "at a.b(c.java:1)\n... 9 more\n", "[", "$", ".", "\n at x.rs:",
     "(*a)", "a/", ":in '", "\x00", "thread 'a' panicked at '", "Suppressed: \n"],
)  # fmt: skip
def test_a_mebibyte_of_anything_is_read_in_linear_time(piece: str) -> None:
    begin = time.perf_counter()
    line = (piece * (1_990 // len(piece) + 1))[:1_990]
    text = piece * (2**19 // len(piece)) + f"\n{line}" * 260
    parse_stack_trace(f'{text}.go: .java File " at @ 0: #0 :in `')
    assert time.perf_counter() - begin < 1.0


def test_a_javascript_trace_without_spaces_is_not_taken_for_dotnet() -> None:
    text = "Error: Connection timeout\n at Database.connect(db.js:45)\n at main(app.js:12)"
    trace = parse_stack_trace(text)
    assert (trace.language, trace.type, trace.value) == (
        "javascript",
        "Error",
        "Connection timeout",
    )
    assert [(f.function, f.file, f.line) for f in trace.frames] == [
        ("Database.connect", "db.js", 45),
        ("main", "app.js", 12),
    ]
