"""Teaching's paths, a file for each kind of page."""
