"""Text, descriptions and prices: what is taken, in which form it is kept, and what is refused."""

import string
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bookstore.contracts.values import Description, Price, Text, decoder, plain


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    text: Text = Text("-")
    description: Description | None = None
    price: Price | None = None


decode = decoder(Sample).decode
encode = msgspec.json.Encoder(enc_hook=plain).encode

# Every character that Unicode calls white space, and ASCII's four separators, which Python adds.
WHITE = [
    character
    for code in range(0x110000)
    if (character := chr(code)).isspace() and not 0xD800 <= code <= 0xDFFF
]


def test_all_kinds_of_white_space_are_known():
    assert {" ", "\t", "\n", "\r", "\v", "\f", "\x1c", "\x85", "\xa0", "\u2028", "\u3000"} <= set(WHITE)
    assert len(WHITE) == 29


@pytest.mark.parametrize("white", WHITE, ids=ascii)
def test_white_space_is_trimmed_and_folded(white):
    body = msgspec.json.encode({"text": f"{white}The{white}{white}  Trial{white}"})
    assert decode(body).text == "The Trial"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_folding_is_what_it_says_and_happens_once(text):
    try:
        folded = Description(text)
    except ValueError:
        assert len(" ".join(text.split())) > Description.longest
        return
    assert folded in ("", " ".join(text.split()))
    assert Description(folded) == folded
    assert not set(folded) & (set(WHITE) - {" "})


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n", "\u3000\xa0", "\u200b", "\ufeff \u200d", "\u2060\u200b", "\x07"]
)
def test_text_with_nothing_to_see_is_empty(text):
    with pytest.raises(ValueError, match="must not be empty"):
        Text(text)
    assert Description(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE books; --",
        "<script>alert(1)</script>",
        "{{7*7}} ${jndi:ldap://x} %s %(a)s",
        "\\u0000",
        "../../etc/passwd",
        "नमस्ते \u200d 日本語 العربية 👩\u200d🚀",
        "e\u0301",
    ],
)
def test_text_is_text_whatever_it_looks_like(text):
    assert Text(text) == text


@pytest.mark.parametrize(("kind", "longest"), [(Text, 500), (Description, 10_000)])
def test_length_is_counted_in_characters_after_folding(kind, longest):
    assert kind("ü" * longest) == "ü" * longest
    assert kind("\U0001f680" * longest)
    assert kind(f"  {'a' * (longest - 2)} {' ' * 50} b\n") == "a" * (longest - 2) + " b"
    with pytest.raises(ValueError, match=f"at most {longest} characters, not {longest + 1}"):
        kind("a" * (longest + 1))


@pytest.mark.parametrize(
    "value", [b'"a\\u0000b"', b"1", b"true", b"[]", b"{}", b"1.5", b'"\\ud800"', b'"\xff"']
)
def test_what_is_no_text_is_refused(value):
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode(b'{"text": %b}' % value)


PRICES = [
    ("0", "0.00"),
    ("-0", "0.00"),
    ("-0.00", "0.00"),
    ("0.01", "0.01"),
    ("5", "5.00"),
    ("18.9", "18.90"),
    ("19.99", "19.99"),
    ("12.500", "12.50"),
    ("99999999.99", "99999999.99"),
    ("99999999", "99999999.00"),
]


@pytest.mark.parametrize(("written", "kept"), PRICES)
def test_a_price_is_kept_exactly_with_two_decimals(written, kept):
    for value in (written, f'"{written}"'):
        price = decode(f'{{"price": {value}}}').price
        assert str(price) == kept
        assert not price.is_signed()


@pytest.mark.parametrize("written", ["1e2", "1E+2", "1000e-1", "100.0"])
def test_a_json_number_may_have_an_exponent(written):
    assert str(decode(f'{{"price": {written}}}').price) == "100.00"


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "1_000",
        " 12 ",
        "12\n",
        "1e2",
        "+5",
        "--5",
        "\uff15",
        "\uff11\uff12.\uff15\uff10",
        "\u0663",
        ".5",
        "5.",
        "1,50",
        "1.000,50",
        "12.3.4",
        "0x10",
        "NaN",
        "-NaN",
        "sNaN",
        "Infinity",
        "inf",
        "free",
        "$5",
        "5€",
        "true",
        "null",
        "1;2",
    ],
)
def test_a_string_that_is_no_plain_decimal_is_no_price(written):
    with pytest.raises(msgspec.ValidationError, match="digits and a decimal point only"):
        decode(msgspec.json.encode({"price": written}))


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("-0.01", "from 0 to"),
        ("-1", "from 0 to"),
        ("99999999.991", "from 0 to"),
        ("100000000", "from 0 to"),
        ("99999999.999", "from 0 to"),
        ("9" * 4000, "from 0 to"),
        ("0.001", "at most 2 decimals"),
        ("19.999", "at most 2 decimals"),
        ("19.9900000000000000000000000000001", "at most 2 decimals"),
        ("0." + "0" * 400 + "1", "at most 2 decimals"),
    ],
)
def test_a_price_beyond_its_bounds_is_refused(written, says):
    for value in (written, f'"{written}"'):
        with pytest.raises(msgspec.ValidationError, match=says):
            decode(f'{{"price": {value}}}')


@pytest.mark.parametrize("written", ["1e9", "1e400", "1e999999999999999999999", "-1e400"])
def test_an_exponent_beyond_all_bounds_is_refused(written):
    with pytest.raises(msgspec.ValidationError, match="from 0 to"):
        decode(f'{{"price": {written}}}')


def test_a_price_smaller_than_all_bounds_is_refused():
    with pytest.raises(msgspec.ValidationError, match="decimals"):
        decode('{"price": 1e-999999999}')


@pytest.mark.parametrize("value", ["true", "false", "[]", "{}", "[1]"])
def test_what_is_no_number_is_no_price(value):
    with pytest.raises(msgspec.ValidationError, match="must be a number"):
        decode(f'{{"price": {value}}}')


def test_the_error_names_the_field():
    with pytest.raises(msgspec.ValidationError, match=r"- at `\$\.price`"):
        decode('{"price": "x"}')


@given(st.decimals("0", "99999999.99", places=2))
def test_every_price_survives_both_encodings(price):
    for written in (f'"{price}"', f"{price}"):
        assert decode(f'{{"price": {written}}}').price == price


@given(st.text(alphabet=string.digits + "+-._eE, \u0665\uff15xN", max_size=12))
@example("1__0")
@example("0.00")
def test_whatever_string_is_taken_reads_as_what_it_shows(written):
    try:
        price = Price(written)
    except ValueError:
        return
    assert set(written) <= set(string.digits + ".-")
    assert price == Decimal(written)
    assert str(price) == f"{abs(Decimal(written)):.2f}"


def test_values_can_be_sent_again():
    sent = encode(Sample(text=Text("a  b"), description=Description(""), price=Price("1")))
    assert sent == b'{"text":"a b","description":"","price":"1.00"}'
    assert decode(sent) == Sample(text=Text("a b"), description=Description(""), price=Price("1.00"))


def test_only_these_values_are_known():
    with pytest.raises(TypeError, match="object can't be written"):
        encode({"x": object()})

    class Other:
        pass

    with pytest.raises(RuntimeError, match="Other can't be read"):
        decoder(Other).decode(b"1")
