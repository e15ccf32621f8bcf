"""The database: tables, connections and all statements."""
