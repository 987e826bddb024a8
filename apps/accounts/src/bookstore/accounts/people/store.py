"""SQL of people: those who log in, and customers' records."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.errors import UniqueViolation

from bookstore.accounts.people.model import EmailTaken, User
from bookstore.contracts.accounts import Customer, Role
from bookstore.service.database import Database

_USER = "id, email, name, password_hash, role, customer_id, created_at"
_CUSTOMER = "id, name, email, created_at, updated_at"


class PeopleStore:
    """Whoever was deleted is never found again; their address can be taken anew."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, *, email: str, name: str, password_hash: str) -> User:
        """A new customer who can log in: both records in one statement.

        A process that dies before its commit leaves neither; one that dies after it leaves both, and
        whoever tries again is told that the address is taken, and can log in.

        Raises:
            EmailTaken: if there is a user or a customer with that address.
        """
        return await self._add_user(
            "WITH customer AS ("
            "  INSERT INTO customers (name, email) VALUES (%(name)s, %(email)s) RETURNING id)"
            " INSERT INTO users (email, name, password_hash, role, customer_id)"
            " SELECT %(email)s, %(name)s, %(password_hash)s, 'customer', id FROM customer"
            f" RETURNING {_USER}",
            {"email": email, "name": name, "password_hash": password_hash},
        )

    async def add_user(self, *, email: str, name: str, password_hash: str, role: Role) -> User:
        """Somebody who works here, without a customer's record.

        Raises:
            EmailTaken: if there is a user with that address.
        """
        return await self._add_user(
            "INSERT INTO users (email, name, password_hash, role)"
            f" VALUES (%(email)s, %(name)s, %(password_hash)s, %(role)s) RETURNING {_USER}",
            {"email": email, "name": name, "password_hash": password_hash, "role": role},
        )

    async def _add_user(self, query: Any, fields: Mapping[str, Any]) -> User:
        try:
            async with self._database.connection() as connection:
                cursor = await connection.execute(query, fields)
                [row] = await cursor.fetchall()
        except UniqueViolation:
            raise EmailTaken from None
        return _user(row)

    async def user(self, user_id: int) -> User | None:
        """Somebody by their identity."""
        rows = await self._database.fetch(f"SELECT {_USER} FROM users WHERE id = %s AND active", (user_id,))
        return _user(rows[0]) if rows else None

    async def user_by_email(self, email: str) -> User | None:
        """Somebody by their address."""
        rows = await self._database.fetch(f"SELECT {_USER} FROM users WHERE email = %s AND active", (email,))
        return _user(rows[0]) if rows else None

    async def add_customer(self, *, email: str, name: str) -> Customer:
        """A customer's record, of somebody who can't log in.

        Raises:
            EmailTaken: if there is a customer with that address.
        """
        try:
            async with self._database.connection() as connection:
                cursor = await connection.execute(
                    f"INSERT INTO customers (name, email) VALUES (%s, %s) RETURNING {_CUSTOMER}",
                    (name, email),
                )
                [row] = await cursor.fetchall()
        except UniqueViolation:
            raise EmailTaken from None
        return _customer(row)

    async def customer(self, customer_id: int) -> Customer | None:
        """One customer's record."""
        rows = await self._database.fetch(
            f"SELECT {_CUSTOMER} FROM customers WHERE id = %s AND active", (customer_id,)
        )
        return _customer(rows[0]) if rows else None

    async def customers(self, limit: int, offset: int) -> list[Customer]:
        """A page of customers, the newest first."""
        rows = await self._database.fetch(
            f"SELECT {_CUSTOMER} FROM customers WHERE active"
            " ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s",
            (limit, offset),
        )
        return [_customer(row) for row in rows]

    async def change_customer(
        self, customer_id: int, *, name: str | None, email: str | None
    ) -> Customer | None:
        """Set what isn't None; None if there is no such customer.

        Whoever logs in as this customer does so with the new address: one statement changes both.

        Raises:
            EmailTaken: if somebody else has that address.
        """
        try:
            async with self._database.connection() as connection:
                cursor = await connection.execute(
                    "WITH changed AS ("
                    "  UPDATE customers SET updated_at = now(),"
                    "  name = coalesce(%(name)s, name), email = coalesce(%(email)s, email)"
                    f"  WHERE id = %(id)s AND active RETURNING {_CUSTOMER}),"
                    " login AS ("
                    "  UPDATE users SET name = changed.name, email = changed.email, updated_at = now()"
                    "  FROM changed WHERE users.customer_id = changed.id AND users.active)"
                    f" SELECT {_CUSTOMER} FROM changed",
                    {"id": customer_id, "name": name, "email": email},
                )
                row = await cursor.fetchone()
        except UniqueViolation:
            raise EmailTaken from None
        return _customer(row) if row else None

    async def delete_customer(self, customer_id: int) -> bool:
        """End a customer, their login and their sessions, in one statement; False if there is none."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "WITH gone AS ("
                "  UPDATE customers SET active = false, updated_at = now()"
                "  WHERE id = %s AND active RETURNING id),"
                " login AS ("
                "  UPDATE users SET active = false, updated_at = now() FROM gone"
                "  WHERE users.customer_id = gone.id RETURNING users.id),"
                " out AS ("
                "  UPDATE sessions SET ended_at = now(), ended_by = 'deletion' FROM login"
                "  WHERE sessions.user_id = login.id AND ended_at IS NULL)"
                " SELECT id FROM gone",
                (customer_id,),
            )
            return await cursor.fetchone() is not None


def _user(row: Sequence[Any]) -> User:
    return User(**dict(zip(User.__struct_fields__, row, strict=True)))


def _customer(row: Sequence[Any]) -> Customer:
    return Customer(**dict(zip(Customer.__struct_fields__, row, strict=True)))
