"""What the wheel must do by itself, with nothing beside it but what it depends on."""

from bookstore.books.catalogue import opening
from bookstore.service.testing.alone import lives_alone

if __name__ == "__main__":
    assert len(opening.books()) > 200
    lives_alone("books", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
