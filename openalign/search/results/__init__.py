"""What a search gives back: hits, folded and in an order; saved queries, exports."""
