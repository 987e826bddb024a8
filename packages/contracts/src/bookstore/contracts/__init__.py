"""bookstore.contracts"""
