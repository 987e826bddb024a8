"""What the wheel must do by itself, with nothing beside it but what it depends on."""

from bookstore.contracts.books import NewBookV1
from bookstore.contracts.schemas import schemas
from bookstore.contracts.values import decoder

if __name__ == "__main__":
    book = decoder(NewBookV1).decode('{"title": " Emma ", "author": "Jane Austen", "price": "12.99"}')
    assert (book.title, str(book.price)) == ("Emma", "12.99")
    assert "NewBookV1" in schemas()["books"]["$defs"]
