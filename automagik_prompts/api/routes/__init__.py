"""What can be asked, by topic."""
