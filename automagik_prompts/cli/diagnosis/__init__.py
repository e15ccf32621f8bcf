"""What `doctor` looks at besides the connection: each check yields what it found, and what to do."""
