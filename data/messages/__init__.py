"""Real messages in: DUIS (XML) and GBCS (bytes) to the extracts of the contract. Signatures are not verified."""
