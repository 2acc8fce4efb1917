"""The wire, point by point: each test names the contract point it proves."""
