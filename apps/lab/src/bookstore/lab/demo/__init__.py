"""The guided story that `bookstore demo` tells, on a running system."""
