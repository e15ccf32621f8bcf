"""What each page shows, as values; the templates only print them."""
