"""The process: the thread, forks, callbacks and what goes wrong."""
