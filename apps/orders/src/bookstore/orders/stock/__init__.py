"""How many copies of a book there are: asked at books, or remembered while books is away."""
