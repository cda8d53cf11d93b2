"""Photos: read upright whatever they come as, cut out of, and laid back into."""
