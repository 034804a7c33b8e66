"""Sandboxes: short-lived, resource-limited Docker containers, managed from the browser."""
