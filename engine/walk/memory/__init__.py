"""The memory bank: places worth keeping, in order, and the way back to them. See keeper.py."""
