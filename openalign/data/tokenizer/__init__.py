"""Texts as the word pieces that a text tower reads."""

from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer

__all__ = ["Tokenizer", "train_tokenizer"]
