"""Frame indices to pictures on a device, and pictures to the pixels of an output."""
