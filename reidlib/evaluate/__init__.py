"""From a network and images to scores: embeddings, protocols, exact CMC and mAP, re-ranking."""
