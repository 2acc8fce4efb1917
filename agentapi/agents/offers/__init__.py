"""What an agent gives besides its looks: parts of a server, commands, checks of the machine."""
