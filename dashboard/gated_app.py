"""What the server runs for a reader: the dashboard when it is the reader's turn, else a word that it is busy."""

from dashboard import turns

turns.draw()
