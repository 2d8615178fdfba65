"""The finished picture to disk: readback, encoder, the film's file and its draft."""
