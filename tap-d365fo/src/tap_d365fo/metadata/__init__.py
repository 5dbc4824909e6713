"""What the environment publishes, and how it looks as JSON Schema."""
