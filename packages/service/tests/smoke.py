"""What the wheel must do by itself, with nothing beside it but what it depends on."""

import json
import urllib.request

from litestar import get

from bookstore.service.app import Service
from bookstore.service.settings import Settings
from bookstore.service.testing import serving


@get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "you"}


def asked(url):
    return urllib.request.urlopen(url).read()  # noqa: S310 - our own


def create():
    return Service("smoke", "1.2.3", Settings(port=0, access_log=False), handlers=[hello])


if __name__ == "__main__":
    with serving(create) as url:
        assert json.loads(asked(f"{url}/hello")) == {"hello": "you"}
        assert b"<html" in asked(f"{url}/docs")
