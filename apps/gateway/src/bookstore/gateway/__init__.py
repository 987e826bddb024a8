"""bookstore.gateway"""
