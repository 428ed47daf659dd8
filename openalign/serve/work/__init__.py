"""How the requests of all users share one model: batches, and a bounded queue in front of them."""
