"""How good a model is: one evaluator in a file."""
