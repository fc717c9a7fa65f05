"""What training asks for: losses, and when a sample is right."""
