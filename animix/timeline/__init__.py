"""Times, eases, keyframes and the YAML document that holds them. No torch."""
