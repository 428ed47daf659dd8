"""Files beside images that say something of them: texts, JSON, masks."""
