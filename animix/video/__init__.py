"""Films: from frames to a file that is whole, with its sound and what it says of itself."""
