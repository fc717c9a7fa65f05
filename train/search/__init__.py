"""Search over recipes and builds, by Optuna: spaces, trials, studies."""
