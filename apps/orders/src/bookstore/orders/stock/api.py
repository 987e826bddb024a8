"""Stock over HTTP: it survives an outage of books."""

from litestar import get

from bookstore.contracts.orders import StockCheck
from bookstore.orders.pipelines import promised
from bookstore.orders.stock.desk import StockDesk
from bookstore.service.identity import PathId, identity
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import identified


@get("/v1/orders/check-inventory/{book_id:str}", tags=["v1"], before_request=identified)
async def check_inventory(request: Asked, book_id: PathId, stock: Given[StockDesk]) -> StockCheck:
    """How many copies of a book can be sold; while books is away, how many there were when it last told."""
    number = identity("book", book_id)
    async with promised(request.headers):
        return await stock.check(number)


handlers = [check_inventory]
