"""The built-in model: the painter that draws its pictures, and its training."""
