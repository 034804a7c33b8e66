"""Teaching's pages."""
