"""Where a show goes: parameters and time in, waypoints out. Plain numbers, no torch."""
