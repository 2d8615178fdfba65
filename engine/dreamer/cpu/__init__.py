"""What makes a dream quicker on a processor and nowhere else: recorded networks and cheaper ways to the same sums."""
