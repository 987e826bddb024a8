from bookstore.service.migrate import run

run()
