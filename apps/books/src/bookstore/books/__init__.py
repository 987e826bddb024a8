"""bookstore.books"""
