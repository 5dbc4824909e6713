"""The close calendar: what runs on which working day of a close, and the driver that starts it."""
