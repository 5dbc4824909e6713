"""The REST API: handlers by resource, and the application that calls them."""
