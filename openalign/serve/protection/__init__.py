"""Who may ask the service, and how much: names, keys, rates, sizes, connections and their time limits."""
