"""Vehicle re-identification: data, augmentation, models, losses, training and evaluation."""
