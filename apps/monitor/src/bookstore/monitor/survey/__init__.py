"""What the services' own metrics tell: rates, circuits, limits. Asked only while somebody wants to know."""
