"""The REST API: a front door to the edit service, for any ASGI application."""
