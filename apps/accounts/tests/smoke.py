"""What the wheel must do by itself, with nothing beside it but what it depends on."""

from bookstore.service.testing.alone import lives_alone

if __name__ == "__main__":
    lives_alone("accounts", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
