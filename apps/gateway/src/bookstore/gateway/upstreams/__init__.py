"""Services and their targets: how they are, which gets a request, and when a request is sent again."""

from bookstore.gateway.upstreams.delivery import Call, Delivery
from bookstore.gateway.upstreams.group import Group, NoTarget
from bookstore.gateway.upstreams.member import Member

__all__ = ["Call", "Delivery", "Group", "Member", "NoTarget"]
