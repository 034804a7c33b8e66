"""How times are written where a page names no way of its own: as the trail writes them."""
