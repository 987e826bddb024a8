"""Pages of other origins."""

import pytest

SHOP = "Origin: https://shop.example"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (["https://shop.example"], SHOP, "https://shop.example"),
        (["https://shop.example"], "Origin: https://evil.example", None),
        (["https://shop.example"], "Origin: null", None),
        (["*"], "Origin: https://anybody.example", "*"),
    ],
)
async def test_which_pages_may_ask(gateway, origins, origin, allowed):
    async with gateway(cors={"origins": origins}) as front:
        reply = await front.ask("GET", "/v1/books", origin)
        asked = await front.ask("OPTIONS", "/v1/books", origin, "Access-Control-Request-Method: POST")
        assert (reply.status, asked.status) == (200, 204)
        for each in (reply, asked):
            assert each.header("access-control-allow-origin") == allowed
            assert each.header("vary") == (None if origins == ["*"] else "origin")
            assert each.header("access-control-allow-credentials") is None
        assert (asked.header("access-control-allow-methods") is not None) is (allowed is not None)
        assert len(front.books.heads) == 1  # the question before it is answered here


async def test_a_page_is_told_of_refusals_too(gateway):
    async with gateway(cors={"origins": ["https://shop.example"]}, gone=["books"]) as front:
        reply = await front.ask("GET", "/v1/books", SHOP)
        assert (reply.status, reply.header("access-control-allow-origin")) == (503, "https://shop.example")


async def test_options_is_the_services_business_otherwise(gateway):
    async with gateway() as front:
        await front.ask("OPTIONS", "/v1/books", SHOP, "Access-Control-Request-Method: POST")
        assert front.books.heads[0].startswith(b"OPTIONS /v1/books ")
        reply = await front.ask("GET", "/v1/books", SHOP)
        assert reply.header("access-control-allow-origin") is None


async def test_options_of_a_path_with_few_methods(gateway):
    async with gateway(route={"methods": ["GET", "POST"]}) as front:
        reply = await front.ask("OPTIONS", "/v1/books")
        assert (reply.status, reply.header("allow")) == (204, "GET, HEAD, OPTIONS, POST")
        reply = await front.ask("DELETE", "/v1/books")
        assert (reply.status, reply.header("allow")) == (405, "GET, HEAD, OPTIONS, POST")
        assert (await front.ask("HEAD", "/v1/books")).status == 200
