"""Zoho Books and Zoho Inventory."""

from __future__ import annotations

from app.tds.sources.zoho.source import ZohoSource

__all__ = ["ZohoSource"]
