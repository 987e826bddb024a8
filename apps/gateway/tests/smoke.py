"""What the wheel must do by itself, with nothing beside it but what it depends on."""

from bookstore.service.testing.alone import lives_alone
from bookstore.service.testing.serving import free_port

if __name__ == "__main__":
    lives_alone("gateway", ADMIN_PORT=str(free_port()))
