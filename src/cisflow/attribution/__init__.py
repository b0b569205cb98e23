"""What a trained model reads in a sequence: four attribution methods, their scores and their quality."""
