"""The show's face on the network, in a process of its own: OSCQuery, web panel, health."""
