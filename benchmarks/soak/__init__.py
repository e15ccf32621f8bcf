"""`make soak MINUTES=5`: agents run in several processes while prompts change and everything around them breaks.

Half of the processes follow PostgreSQL through a TCP proxy, half an SQLite file. Their agents run all the time.
Others publish versions, take them back and deactivate them, and every few seconds something happens at random, on this
machine only: the proxy refuses, hangs, slows down or cuts; the server's backends are killed, or the server crashes or
is restarted; the file is taken away or locked; a process is stopped for a while, or killed and started again.

A run fails if it raises, or if its model is told anything but one whole text that was active once, or one that was
active only before the last that it was told. In the end every process must serve what is active, and the database must
hold together.
"""
