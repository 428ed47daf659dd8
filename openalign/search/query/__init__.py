"""What a search asks for: the vector of a composed query, and conditions that its hits must meet."""
