"""Training: arguments, data, samplers, the loop."""
