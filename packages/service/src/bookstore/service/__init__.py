"""bookstore.service"""
