"""bookstore.lab"""
