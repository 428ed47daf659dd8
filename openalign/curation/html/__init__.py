"""The bytes of one page -> its images and their texts, as browsers read them."""
