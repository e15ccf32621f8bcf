"""What the pages show on which somebody decides: one status, two versions, an activation, a request."""
