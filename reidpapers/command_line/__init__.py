"""What the command line understands: its parser, and the commands that are more than a few lines."""
