"""What `make` runs around the project: set-up, engine, browser, services, locks."""
