"""What a show is: its parameters, its file, the addresses they answer at. Imports nothing of ours."""
