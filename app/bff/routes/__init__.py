"""The routes of ``/api/bff/tds``, by noun."""
