"""The values and rules that everything else speaks in: keys, records, what is served, what is valid."""
