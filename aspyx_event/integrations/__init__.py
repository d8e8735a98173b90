"""What the library brings for frameworks. The core imports nothing of it, and each framework is an extra."""
