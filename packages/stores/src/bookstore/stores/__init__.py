"""bookstore.stores"""
