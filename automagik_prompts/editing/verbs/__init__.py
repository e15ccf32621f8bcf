"""The verbs of the edit service, by what they are about."""
