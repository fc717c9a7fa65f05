"""Models of torch as people write them: traced, read layer by layer, and made into integers.

    network = from_torch(model, input_shape=(1, 28, 28), steps=25)

Two ways lead to one description: `chain` walks a model that is a sequence of modules, `tracer`
follows a `forward` that computes, loops over time included. `network` makes it integers, and `run`
steps the model itself in float64 to compare.
"""
