"""Following the database: reading it, hearing of changes, and holding what is served in memory."""
