import pytest

from bookstore.gateway.headers import to_client, to_service

OURS = [
    (b"x-forwarded-for", b"192.0.2.1"),
    (b"x-forwarded-proto", b"http"),
    (b"x-forwarded-host", b"shop.example"),
    (b"forwarded", b'for=192.0.2.1;proto=http;host="shop.example"'),
]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([(b"accept", b"*/*"), (b"cookie", b"a=1"), (b"cookie", b"b=2")], 3),
        ([(b"authorization", b"Bearer x")], 1),
        ([(b"connection", b"close, x-secret"), (b"x-secret", b"1")], 0),
        ([(b"connection", b""), (b"connection", b"X-Secret"), (b"x-secret", b"1")], 0),
        ([(b"connection", b"x-forwarded-for, x-user-id, traceparent"), (b"x-user-id", b"1")], 0),
        ([(b"te", b"trailers"), (b"trailer", b"x"), (b"keep-alive", b"5"), (b"upgrade", b"h2c")], 0),
        ([(b"http2-settings", b"x"), (b"proxy-authorization", b"x"), (b"proxy-connection", b"x")], 0),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"4"), (b"expect", b"100-continue")], 0),
        (
            [
                (b"x-forwarded-for", b"6.6.6.6"),
                (b"x-forwarded-anything", b"x"),
                (b"forwarded", b"for=6.6.6.6"),
            ],
            0,
        ),
        ([(b"x-real-ip", b"6.6.6.6"), (b"x-deadline-ms", b"9999")], 0),
        ([(b"authorization", b"SERVICE x"), (b"x-api-key", b"x")], 0),
        ([(b"x-user-id", b"admin"), (b"x-user-roles", b"ops"), (b"x-gateway-key", b"x")], 0),
        ([(b"x_user_id", b"admin"), (b"x_forwarded_for", b"x"), (b"any_thing", b"x")], 0),
        (
            [
                (b"x-request-id", b"mine"),
                (b"traceparent", b"00-x"),
                (b"tracestate", b"x"),
                (b"x-trace-id", b"x"),
            ],
            0,
        ),
    ],
)
def test_to_the_service(sent, kept):
    headers = to_service([(b"host", b"shop.example"), *sent], client="192.0.2.1", scheme="http")
    assert headers == [*sent[:kept], *OURS]


def test_without_a_host_none_is_made_up():
    assert to_service([], client="192.0.2.1", scheme="http") == [
        *OURS[:2],
        (b"forwarded", b"for=192.0.2.1;proto=http"),
    ]


@pytest.mark.parametrize(
    ("client", "host", "forwarded"),
    [
        ("2001:db8::1", b"x", b'for="[2001:db8::1]";proto=https;host="x"'),
        ("192.0.2.1", b'x";for=6.6.6.6;y="', b"for=192.0.2.1;proto=https"),
        ("192.0.2.1", b"x\\", b"for=192.0.2.1;proto=https"),
    ],
)
def test_forwarded_says_what_it_says_in_one_way(client, host, forwarded):
    headers = to_service([(b"host", host)], client=client, scheme="https")
    assert dict(headers)[b"forwarded"] == forwarded


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"4")], 3),
        ([(b"content-encoding", b"gzip"), (b"vary", b"x"), (b"retry-after", b"3")], 3),
        ([(b"connection", b"x-secret, close"), (b"x-secret", b"1"), (b"keep-alive", b"5")], 0),
        ([(b"transfer-encoding", b"chunked"), (b"trailer", b"x"), (b"upgrade", b"x"), (b"server", b"x")], 0),
        ([(b"content-length", b"4"), (b"connection", b"content-length")], 1),
        ([(b"location", b"/v1/books/1")], 1),
        ([(b"location", b"https://elsewhere.example/")], 1),
        ([(b"location", b"http://10.0.0.1:80019/")], 1),
    ],
)
def test_to_the_client(sent, kept):
    assert to_client(sent, base_url=b"http://10.0.0.1:8001") == sent[:kept]


@pytest.mark.parametrize(("location", "seen"), [(b"/v1/books/1", b"/v1/books/1"), (b"", b"/")])
def test_a_redirect_to_the_inside_becomes_relative(location, seen):
    base = b"http://10.0.0.1:8001"
    assert to_client([(b"location", base + location)], base_url=base) == [(b"location", seen)]


LINKS = [
    (
        b'</v2/books?limit=2&offset=2>; rel="next", </v2/books?limit=2&offset=0>; rel="prev"',
        b'</shop/v2/books?limit=2&offset=2>; rel="next", </shop/v2/books?limit=2&offset=0>; rel="prev"',
    ),
    (b"<http://10.0.0.1:8001/v1>; rel=next", b"</shop/v1>; rel=next"),
    (b'<https://elsewhere.example/a>; title="</b>"', b'<https://elsewhere.example/a>; title="</b>"'),
    (b'</a>; title="\\"</b>"; rel="</c>"', b'</shop/a>; title="\\"</b>"; rel="</c>"'),
    (b"</a>;<", b"</shop/a>;<"),
    (b"<>; rel=self", b"<>; rel=self"),
    (b"", b""),
]
LOCATIONS = [
    (b"/v1/books/1", b"/shop/v1/books/1"),
    (b"http://10.0.0.1:8001/v1/books/1", b"/shop/v1/books/1"),
    (b"//evil.example/", b"//evil.example/"),
    (b"https://elsewhere.example/a", b"https://elsewhere.example/a"),
    (b"relative", b"relative"),
]


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [*((b"location", *each) for each in LOCATIONS), *((b"link", *each) for each in LINKS)],
)
def test_a_path_of_the_service_is_told_as_the_client_has_to_ask_for_it(name, value, seen):
    headers = to_client(
        [(name, value)], base_url=b"http://10.0.0.1:8001", outward=lambda path: b"/shop" + path
    )
    assert headers == [(name, seen)]
