"""What leaves a run: the model folder, the datasets, and the cards that explain them."""
