"""bookstore.orders"""
