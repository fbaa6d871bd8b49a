"""What the services need from the world, as protocols and their value types."""
