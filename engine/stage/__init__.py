"""The window and all that is drawn in it: keyframes in, the finished picture out. One thread, the GL thread."""
