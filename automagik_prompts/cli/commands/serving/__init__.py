"""The commands about what others reach over the network: tokens, the server, and a look at one from outside."""
